"""A sweep that no block takes, or that nobody signs in time …"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from core import ledger
from core.freezes.models import Freeze
from core.ledger import AccountKind, invariants
from custody import actions, queries, raising_tasks, tending_tasks
from custody.actions.claims import StillPayable
from custody.domain.limits import Quote
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.models import Payment, Sweep, UtxoLock, Wallet
from kernel.psbt import Psbt
from kernel.transaction import Output, Transaction
from tests import raising
from tests.nodes import Node
from tests.stockroom import Lend
from tests.sweeping import HOT, asked, built, full, signed
from tests.treasury import BTC, PRICE_CENTS, ROBOT, Treasury, raw_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(full, now)


def test_has_its_fee_raised_like_a_withdrawals_and_is_booked_by_the_version_that_a_block_has(
    treasury: Treasury, node: Node, settings: Settings
) -> None:
    settings.RAISE_FEES_AFTER_BLOCKS = 1
    row, first = signed(treasury)
    node.rate, treasury.now = 12, treasury.now + timedelta(minutes=10)
    treasury.mine()
    raising_tasks.raise_slow(now=treasury.now)
    _, built = queries.versions_of(first)
    assert built.fee_units == 12 * built.vsize
    assert queries.open_versions() == [built.pk]
    treasury.now += timedelta(hours=1)
    assert queries.count_stuck(now=treasury.now)["raised fees that no node took within an hour"] == 1
    version = raising.replaced(treasury, first)
    assert version.pk == built.pk
    fees = ledger.account(AccountKind.NETWORK_FEES, "BTC")
    for paid, fee in ((raising.raw_of(version), version.fee), (raw_of(first), first.fee)):
        treasury.mine(paid, empty=1)
        treasury.book()
        for payment in queries.misbooked(network="regtest"):
            actions.correct_fee(payment_id=payment, actor=ROBOT, now=treasury.now)
        assert (queries.sweep(row.pk).state, ledger.balance(fees).posted) == ("settled", fee)
        assert not any(invariants.broken().values())
        treasury.unwind(2)


def lapsed(treasury: Treasury) -> tuple[Sweep, Payment]:
    """Before the hot signers until its approval was void."""
    row, payment = asked(treasury)
    assert row.expires_at is not None
    treasury.now = row.expires_at + CLOCKS_DIFFER_MAX
    quote = Quote("BTC", PRICE_CENTS, treasury.now)
    actions.report_price(quote=quote, source="test", actor=ROBOT, now=treasury.now)
    actions.lapse_sweep(sweep_id=row.pk, actor=ROBOT, now=treasury.now)
    return row, payment


def test_that_lapsed_shares_a_coin_with_the_next_one_which_ends_it_for_good(treasury: Treasury) -> None:
    row, payment = lapsed(treasury)
    treasury.deposit(20 * BTC)  # alone enough for the next one, and the largest
    treasury.fund("cold", 300 * BTC)
    Wallet.objects.filter(name="hot").update(target=8 * BTC)
    following, other = signed(treasury)
    taken = {one.outpoint for one in raw_of(other).inputs}
    assert taken & {one.outpoint for one in Psbt.parse_base64(payment.psbt).transaction.inputs}
    with pytest.raises(StillPayable):
        actions.fail_sweep(sweep_id=row.pk, reason="over", actor=ROBOT, now=treasury.now)
    treasury.mine(raw_of(other), empty=1)
    treasury.book()
    tending_tasks.tend_all(now=treasury.now)
    assert (queries.sweep(following.pk).state, queries.sweep(row.pk).state) == ("settled", "failed")
    assert not Freeze.objects.exists()


def test_that_lapsed_and_is_completed_after_all_takes_its_coins_from_what_would_spend_them(
    treasury: Treasury,
) -> None:
    row, payment = lapsed(treasury)
    following = actions.propose_sweep(source="hot", target="cold", actor=ROBOT, now=treasury.now)
    assert following.state == "proposed", "the next one is under way"
    paid = treasury.broadcast()
    assert set(queries.locked_outpoints(paid)) & {
        (one.outpoint.txid, one.outpoint.index) for one in Psbt.parse_base64(payment.psbt).transaction.inputs
    }
    treasury.sign(payment, *HOT)
    completed = queries.signed_psbt(payment).finalised()
    treasury.mine(completed)
    assert (queries.sweep(row.pk).state, paid.owner.__class__.objects.get().state) == (
        "confirmed",
        "conflicted",
    )
    assert not Freeze.objects.exists()
    treasury.unwind()
    treasury.mine(raw_of(paid), empty=1)
    treasury.book()
    tending_tasks.tend_all(now=treasury.now)
    assert queries.sweep(row.pk).state == "failed", "it does not wait for a block for ever"
    assert not any(invariants.broken().values())


def test_ends_by_itself_where_no_signer_was_asked_in_time(treasury: Treasury) -> None:
    row, payment = built(treasury)
    assert row.expires_at is not None
    tending_tasks.tend_all(now=row.expires_at - timedelta(seconds=1))
    assert queries.sweep(row.pk).state == "built"
    tending_tasks.tend_all(now=row.expires_at)
    assert queries.sweep(row.pk).state == "failed"
    assert not UtxoLock.objects.filter(payment=payment, released_at=None).exists()


def test_ends_by_itself_once_a_coin_of_it_is_spent_otherwise_for_good(treasury: Treasury) -> None:
    row, payment = signed(treasury)
    theft = Transaction(raw_of(payment).inputs, (Output(BTC, b"\x00\x14" + b"\x02" * 20),))
    treasury.mine(theft)
    tending_tasks.tend_all(now=treasury.now)
    assert queries.sweep(row.pk).state == "conflicted", "the chain may still turn"
    treasury.mine()
    tending_tasks.tend_all(now=treasury.now)
    assert queries.sweep(row.pk).state == "failed"
