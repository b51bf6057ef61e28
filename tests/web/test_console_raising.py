"""On a withdrawal's screen, the fee of a transaction that no block takes …"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core import clock
from core.freezes.actions import pull_freeze
from custody import estimates, queries, raising_tasks
from custody.adapters import feerates
from custody.models import Payment, PaymentVersion
from tests import raising
from tests.doors import at_console
from tests.exchange import Exchange


@pytest.fixture
def payment(exchange: Exchange) -> Payment:
    return exchange.treasury.broadcast(exchange.treasury.approved(sats=1_000_000))


def page(exchange: Exchange, payment: Payment, person: str = "ana") -> str:
    client = at_console(getattr(exchange.staff, person).identity)
    return str(client.get(f"/withdrawals/{payment.withdrawal_id}/").content.decode())


def test_is_raised_from_there_by_a_treasury_maker(exchange: Exchange, payment: Payment) -> None:
    found = page(exchange, payment)
    for words in ("Its fee can be raised until", "from 3 to", "Raise the network fee", "2.0 sats a vbyte"):
        assert words in found
    assert "Raise the network fee" not in page(exchange, payment, "dot")
    address = f"/withdrawals/{payment.withdrawal_id}/raise"
    ana = at_console(exchange.staff.ana.identity)
    assert ana.post(address, {"feerate": "9", "reason": "Tom waits"}).status_code == 302
    assert PaymentVersion.objects.get(number=2).reason == "Tom waits"
    found = page(exchange, payment)
    for words in (
        "Its fee was raised",
        "9.0 sats a vbyte",
        "before the signers",
        "Tom waits",
        "as it was built",
    ):
        assert words in found


def test_is_raised_with_the_nodes_estimate_in_sight_or_with_why_there_is_none(
    exchange: Exchange, payment: Payment, settings: Any
) -> None:
    """The worker asks the node; the page asks nobody whom it would have to wait for."""
    settings.BITCOIN_RPC_URL = "http://127.0.0.1:9"
    raising_tasks.leave_estimate(now=clock.now())
    assert "no estimate of what blocks take now: the node does not answer" in page(exchange, payment)
    for rate, words in ((12, "blocks."), (2, "less than would replace it"), (5_000, "more than may be paid")):
        feerates.leave(rate, blocks=6, now=clock.now())
        found = page(exchange, payment)
        assert f"The node estimates <strong>{rate} sats a vbyte</strong> for the next 6 blocks" in found
        assert words in found
    assert "The node estimates" not in page(exchange, payment, "dot")
    for moment in (timedelta(minutes=3), timedelta(days=-300)):
        feerates.leave(12, blocks=6, now=clock.now() - moment)
        assert "nobody has asked the node in the last minutes" in page(exchange, payment)
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    assert estimates.estimate(now=clock.now()) is None


@pytest.mark.parametrize("rate", ["", "x", "-3", "2", "1000000000", "٣", "900"])
def test_stays_where_the_rate_is_none(exchange: Exchange, payment: Payment, rate: str) -> None:
    ana = at_console(exchange.staff.ana.identity)
    answer = ana.post(f"/withdrawals/{payment.withdrawal_id}/raise", {"feerate": rate, "reason": "Tom waits"})
    assert answer.status_code >= 400
    assert "Nothing was built" in answer.content.decode()
    assert not PaymentVersion.objects.exists()


def test_cannot_be_raised_where_there_is_no_transaction(exchange: Exchange) -> None:
    ana = at_console(exchange.staff.ana.identity)
    answer = ana.post(f"/withdrawals/{exchange.held.pk}/raise", {"feerate": "9", "reason": "x"})
    assert "there is no transaction yet" in answer.content.decode()


def test_says_that_it_cannot_be_raised_and_why(exchange: Exchange, payment: Payment) -> None:
    exchange.treasury.now = clock.now()
    pull_freeze(scope="asset:BTC", reason="odd prices", actor=exchange.staff.sam.actor, now=clock.now())
    found = page(exchange, payment)
    assert "Its fee cannot be raised</strong>: the freeze of asset:BTC keeps it where it is" in found
    assert "whoever receives it can pay for it with a child" in found
    assert "Raise the network fee" not in found


def test_says_that_signers_sign_nothing_for_it_any_more(exchange: Exchange, payment: Payment) -> None:
    later = clock.now() + timedelta(days=9)
    exchange.treasury.now = clock.now()
    raising.raised(exchange.treasury, payment)
    found = queries.to_raise(queries.payment(payment.pk), now=later)
    assert found is not None
    assert found.why_not == "its approval has ended, and signers sign nothing for it any more"
    rows = queries.states_of(queries.versions_of(payment), payment, now=later)
    assert [standing for _, standing in rows] == ["sent", "never signed"]


def test_shows_which_version_was_replaced_and_which_signers_refused(
    exchange: Exchange, payment: Payment
) -> None:
    exchange.treasury.now = clock.now()
    raising.replaced(exchange.treasury, payment, rate=9)
    further = raising.raised(exchange.treasury, payment, rate=12)
    raising.refused(exchange.treasury, further, "SIGNER_FEE_ABOVE_LIMIT")
    found = page(exchange, payment)
    for words in ("replaced", "refused by signers", "hot-1: SIGNER_FEE_ABOVE_LIMIT", "12.0 sats a vbyte"):
        assert words in found
