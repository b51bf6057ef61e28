"""What a customer signs about a destination …"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest
from django.db import DatabaseError, transaction

from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage
from core.refusals import NotAllowed
from custody import actions, queries
from custody.actions import statements as refusals
from custody.models import Beneficiary, CustomerStatement
from customers.domain import links
from kernel import encodings
from kernel.customer import REMOVAL
from tests.messages import DESTINATION
from tests.statements import said, take
from tests.stockroom import Lend
from tests.traders import new_password
from tests.treasury import BTC, HOME, ROBOT, Treasury, trader
from tests.vault import Message

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
SMALL = BTC // 100


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(Treasury.open, now)


def counts() -> tuple[int, int]:
    return AuditEvent.objects.count(), OutboxMessage.objects.count()


def test_is_stored_whole_once_and_stands_in_the_address_book(treasury: Treasury) -> None:
    take(treasury, said(treasury, "key"))
    before = counts()
    message = said(treasury, "beneficiary", HOME)
    row = take(treasury, message)
    assert encodings.base64url(bytes(row.payload)) == message["payload"]
    assert queries.statement_message(row) == message
    assert counts() == (before[0] + 1, before[1] + 1)
    assert take(treasury, message).pk == row.pk
    assert counts() == (before[0] + 1, before[1] + 1)
    assert Beneficiary.objects.get().address == HOME
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        CustomerStatement.objects.update(subject="elsewhere")


def test_is_not_taken_without_the_customers_own_word(treasury: Treasury) -> None:
    with pytest.raises(refusals.NoKey):
        take(treasury, said(treasury, "beneficiary", HOME))
    take(treasury, said(treasury, "key"))
    message = said(treasury, "beneficiary", HOME)
    wrong: list[Message] = [
        said(treasury, "beneficiary", HOME, seed=66),
        {**message, "proof": said(treasury, "beneficiary", HOME, seed=66)["proof"]},
        said(treasury, "beneficiary", HOME, deployment="production"),
        said(treasury, "beneficiary", HOME, network="mainnet"),
        said(treasury, "beneficiary", HOME, asset="USDT"),
        said(treasury, "beneficiary", HOME.upper()),
        said(treasury, "beneficiary", "somewhere"),
        said(treasury, "beneficiary", HOME, at=treasury.now - DAY),
        said(treasury, "beneficiary", HOME, at=treasury.now + timedelta(minutes=3)),
        said(treasury, "beneficiary", HOME, customer=str(trader("Tia", tier=2).pk)),
        {**message, "payload": "e30"},
    ]
    for each in wrong:
        with pytest.raises(refusals.BadStatement, match="Nothing was taken"):
            take(treasury, each)
    own = queries.wallet_named("hot").addresses.get(index=1).address
    with pytest.raises(refusals.BadStatement, match="one of ours"):
        take(treasury, said(treasury, "beneficiary", own))
    with pytest.raises(NotAllowed):
        actions.take_statement(
            customer_id=treasury.tom.pk,
            payload=b"",
            proof={},
            label="x",
            actor=treasury.staff.ana.actor,
            now=treasury.now,
        )
    assert [row.kind for row in CustomerStatement.objects.all()] == ["custody.customer_key"]
    events = [event.doc for event in AuditEvent.objects.order_by("id")]
    refused = [one for one in events if one["action"] == "custody.customer_statement.taken.refused"]
    codes = ["statement.no_key", *(["statement.bad"] * (len(wrong) + 1)), "not_allowed"]
    assert [one["after"]["code"] for one in refused] == codes
    assert {one["target"] for one in refused} == {f"customers.customer/{treasury.tom.pk}"}


def test_is_not_taken_and_brought_to_no_signer_after_a_new_password_by_mail(treasury: Treasury) -> None:
    take(treasury, said(treasury, "key"))
    take(treasury, said(treasury, "beneficiary", HOME))
    assert [row.kind for row in queries.statements_for("hot-1", now=treasury.now)] == [
        "custody.customer_key",
        "custody.beneficiary",
    ]
    new_password(treasury.tom.pk, now=treasury.now)
    held = treasury.now + links.HELD_FOR
    last = held - timedelta(seconds=1)
    for message in (
        said(treasury, "key", seed=66, at=last),
        said(treasury, "beneficiary", DESTINATION, at=last),
    ):
        with pytest.raises(queries.WithdrawalsHeld, match="Nothing was taken"):
            take(treasury, message, now=last)
    assert not queries.statements_for("hot-1", now=last), "nor what was taken just before"
    take(treasury, said(treasury, "removal", HOME, at=last), now=last)
    assert [row.kind for row in queries.statements_for("hot-1", now=last)] == [REMOVAL]
    assert len(queries.statements_for("hot-1", now=held)) == 3
    take(treasury, said(treasury, "beneficiary", DESTINATION, at=held), now=held)


def test_comes_in_the_order_in_which_it_was_signed(treasury: Treasury) -> None:
    later = treasury.now + timedelta(minutes=1)
    take(treasury, said(treasury, "key"))
    with pytest.raises(refusals.Outdated, match="none that you have named"):
        take(treasury, said(treasury, "removal", HOME))
    take(treasury, said(treasury, "beneficiary", HOME))
    with pytest.raises(refusals.Outdated, match="its age counts"):
        take(treasury, said(treasury, "beneficiary", HOME, at=later), now=later)
    with pytest.raises(refusals.Outdated, match="something newer"):
        take(treasury, said(treasury, "removal", HOME))
    take(treasury, said(treasury, "removal", HOME, at=later), now=later)
    with pytest.raises(refusals.Outdated, match="something newer"):
        take(treasury, said(treasury, "beneficiary", HOME, at=later), now=later)


def test_is_said_only_so_often_in_a_day_while_a_removal_always_is(
    treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custody.domain.statements.PER_DAY_MAX", 2)
    take(treasury, said(treasury, "key"))
    take(treasury, said(treasury, "beneficiary", HOME))
    with pytest.raises(refusals.TooManyStatements):
        take(treasury, said(treasury, "beneficiary", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"))
    later = treasury.now + timedelta(minutes=1)
    take(treasury, said(treasury, "removal", HOME, at=later), now=later)


@pytest.mark.parametrize("scope", ["customer", "trader-api"])
def test_under_a_freeze_only_takes_away(treasury: Treasury, scope: str) -> None:
    from core.freezes import Frozen
    from core.freezes.actions import pull_freeze
    from core.freezes.domain import scopes

    take(treasury, said(treasury, "key"))
    take(treasury, said(treasury, "beneficiary", HOME))
    pull_freeze(
        scope=scopes.customer(treasury.tom.pk) if scope == "customer" else scope,
        reason="he called",
        actor=treasury.staff.ana.actor,
        now=treasury.now,
    )
    later = treasury.now + timedelta(minutes=1)
    with pytest.raises(Frozen):
        take(
            treasury,
            said(treasury, "beneficiary", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", at=later),
            now=later,
        )
    take(treasury, said(treasury, "removal", HOME, at=later), now=later)


def test_that_takes_a_destination_back_takes_an_officers_clearing_with_it(treasury: Treasury) -> None:
    """Named again, it is as new as any other: for the desk, and for the policy."""
    take(treasury, said(treasury, "key"))
    take(treasury, said(treasury, "beneficiary", HOME))
    for _ in range(3):
        treasury.deposit(BTC)
    assert treasury.screened(sats=SMALL).state == "screened"
    screen = partial(actions.report_screening, hits=[], actor=ROBOT)
    assert screen(withdrawal_id=treasury.request(SMALL).pk, now=treasury.now).state == "screened"

    treasury.now += timedelta(minutes=1)
    take(treasury, said(treasury, "removal", HOME, at=treasury.now), now=treasury.now)
    assert screen(withdrawal_id=treasury.request(SMALL).pk, now=treasury.now).state == "on_hold"
    treasury.now += timedelta(minutes=1)
    take(treasury, said(treasury, "beneficiary", HOME, at=treasury.now), now=treasury.now)
    row = screen(withdrawal_id=treasury.request(SMALL).pk, now=treasury.now)
    assert (row.state, row.reason) == ("on_hold", "first use of this destination")

    treasury.now += timedelta(minutes=1)
    by = {"actor": treasury.staff.ana.actor, "now": treasury.now}
    asked = actions.release_from_screening(withdrawal_id=row.pk, reason="Tom called", **by).request
    assert asked is not None
    assert asked.facts["destination_class"] == "new"
    again = screen(withdrawal_id=treasury.request(SMALL).pk, now=treasury.now)
    assert again.request is not None
    assert (again.state, again.request.facts["destination_class"]) == ("screened", "known")
