"""A withdrawal that somebody asks for …"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from core import ledger
from core.access.models import Identity
from core.action import action
from core.approvals.actions import expire_request
from core.approvals.moving import StepRefused
from core.freezes import Frozen, pull
from core.freezes.domain import scopes
from core.refusals import NotAllowed, NotFound, Refused
from custody import actions, queries
from custody.actions import asking as refusals
from custody.actions.withdrawals import ClientIdUsed
from custody.domain import limits, withdrawals
from custody.domain.coins import DUST_SATS
from custody.domain.limits import Quote
from custody.events import Event
from custody.models import Beneficiary, Withdrawal
from custody.models.moving import WrongState
from kernel.money import Amount
from tests.approvals import overdue
from tests.traces import Trace
from tests.treasury import BTC, HOME, ROBOT, Treasury, customer_actor, outsider, trader

pytestmark = pytest.mark.django_db

SMALL = BTC // 10


@action(Event.WITHDRAWAL_REQUESTED)
def freeze(*, scope: str, actor: Any, now: datetime) -> None:
    pull(scope, reason="a test", actor=actor, now=now)


def test_is_requested_with_its_funds_on_hold(treasury: Treasury) -> None:
    with Trace() as trace:
        row = treasury.request(SMALL, client_id="rent")
    row.refresh_from_db()
    assert (row.state, row.amount, row.destination) == ("requested", Amount(SMALL, "BTC"), HOME)
    assert (row.value_cents, row.price_cents, row.priced_at) == (6_000_00, 60_000_00, treasury.now)
    assert row.expires_at == treasury.now + withdrawals.SCREEN_WITHIN
    assert treasury.funding().held == row.amount + row.fee
    assert trace.events == ["custody.withdrawal.requested"]
    assert trace.topics == ["custody.withdrawal_moved"]


def test_is_requested_once_under_one_client_id(treasury: Treasury) -> None:
    first = treasury.request(SMALL, client_id="rent")
    with Trace() as trace, pytest.raises(ClientIdUsed) as refusal:
        treasury.request(SMALL, client_id="rent")
    assert refusal.value.withdrawal == first.pk
    assert Withdrawal.objects.count() == 1
    assert treasury.funding().held == first.amount + first.fee
    trace.only_refused("custody.withdrawal.requested")


def test_may_use_another_customers_client_id(treasury: Treasury) -> None:
    treasury.request(SMALL, client_id="rent")
    tia = trader("Tia", tier=2)
    treasury.deposit(BTC, tia)
    row = treasury.request(SMALL, client_id="rent", customer_id=tia.pk, actor=customer_actor(tia))
    assert row.customer_id == tia.pk


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"actor": outsider()}, NotAllowed),
        ({"actor": ROBOT}, NotAllowed),
        ({"sats": 9_999}, refusals.AmountRefused),
        ({"amount": Amount(10**9, "USDT")}, refusals.AmountRefused),
        ({"sats": BTC}, ledger.entries.InsufficientFunds),  # type: ignore[attr-defined]
        ({"client_id": "x" * 33}, refusals.AmountRefused),
        ({"client_id": "ä"}, refusals.AmountRefused),
        ({"destination": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}, refusals.DestinationRefused),
        ({"destination": HOME[:-1] + "q"}, refusals.DestinationRefused),
        ({"destination": ""}, refusals.DestinationRefused),
        ({"label": " "}, refusals.DestinationRefused),
        ({"label": "a\u202eb"}, refusals.DestinationRefused),
    ],
)
def test_is_refused_without_a_trace_but_the_refusal(
    treasury: Treasury, changes: dict[str, Any], refusal: type[Refused]
) -> None:
    if changes.get("sats") == BTC:
        treasury.tom.tier = 4
        treasury.tom.save()
    with Trace() as trace, pytest.raises(refusal):
        treasury.request(**{"sats": SMALL} | changes)
    assert not Withdrawal.objects.exists()
    assert not Beneficiary.objects.exists()
    assert treasury.funding().held.units == 0
    trace.only_refused("custody.withdrawal.requested")


def test_never_goes_to_an_address_of_ours(treasury: Treasury) -> None:
    own = queries.deposit_address_of(treasury.tom.pk)
    assert own is not None
    for spelling in (own.address, own.address.upper()):
        with pytest.raises(refusals.DestinationRefused):
            treasury.request(SMALL, destination=spelling)


def test_keeps_one_spelling_of_its_destination(treasury: Treasury) -> None:
    assert treasury.request(SMALL, destination=HOME.upper()).destination == HOME


@pytest.mark.parametrize("tier", [0, 1, 2])
def test_stays_within_the_tiers_limit(treasury: Treasury, tier: int) -> None:
    treasury.tom.tier = tier
    treasury.tom.save()
    asked = {0: 20_000, 1: 900_000, 2: BTC // 5}[tier]
    wanted = refusals.TierTooLow if tier == 0 else refusals.LimitReached
    with Trace() as trace, pytest.raises(wanted):
        treasury.request(asked)
    trace.only_refused("custody.withdrawal.requested")


def test_counts_against_the_limit_for_24_hours(treasury: Treasury) -> None:
    treasury.request(SMALL)
    with pytest.raises(refusals.LimitReached, match=r"\$4,000\.00 of \$10,000\.00"):
        treasury.request(SMALL)
    later = treasury.now + limits.WINDOW
    actions.report_price(quote=Quote("BTC", 60_000_00, later), source="test", actor=ROBOT, now=later)
    treasury.request(SMALL, now=later)


def test_counts_no_more_once_it_ended_unpaid(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    actions.cancel_withdrawal(withdrawal_id=row.pk, actor=customer_actor(treasury.tom), now=treasury.now)
    treasury.request(SMALL)


def test_is_refused_to_who_may_only_look_even_without_a_price(treasury: Treasury) -> None:
    treasury.tom.tier = 0
    treasury.tom.save()
    with pytest.raises(refusals.TierTooLow):
        treasury.request(SMALL, now=treasury.now + timedelta(days=1))


def test_is_refused_to_a_suspended_customer(treasury: Treasury) -> None:
    Identity.objects.filter(pk=treasury.tom.pk).update(is_active=False)
    with Trace() as trace, pytest.raises(NotAllowed):
        treasury.request(SMALL)
    trace.only_refused("custody.withdrawal.requested")


def test_needs_a_fresh_price(treasury: Treasury) -> None:
    late = treasury.now + limits.PRICE_AGE_MAX + timedelta(seconds=1)
    with Trace() as trace, pytest.raises(refusals.PriceUnknown):
        treasury.request(SMALL, now=late)
    trace.only_refused("custody.withdrawal.requested")


@pytest.mark.parametrize("scope", ["platform.withdrawals", "asset:BTC", "wallet:hot", "customer"])
def test_stops_at_a_freeze(treasury: Treasury, scope: str) -> None:
    name = scopes.customer(treasury.tom.pk) if scope == "customer" else scope
    freeze(scope=name, actor=ROBOT, now=treasury.now)
    with pytest.raises(Frozen):
        treasury.request(SMALL)


def test_cancelled_by_its_owner_takes_its_request_with_it(treasury: Treasury) -> None:
    row = treasury.screened(sats=SMALL)
    with Trace() as trace:
        actions.cancel_withdrawal(withdrawal_id=row.pk, actor=customer_actor(treasury.tom), now=treasury.now)
    row.refresh_from_db()
    assert row.request is not None
    assert (row.state, row.request.state) == ("cancelled", "withdrawn")
    assert treasury.funding().held.units == 0
    assert trace.events == ["custody.withdrawal.cancelled"]


def test_is_nobody_elses_to_cancel(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    with Trace() as trace, pytest.raises(NotFound):
        actions.cancel_withdrawal(
            withdrawal_id=row.pk, actor=customer_actor(trader("Tia", tier=2)), now=treasury.now
        )
    trace.only_refused("custody.withdrawal.cancelled")
    with pytest.raises(NotFound):
        queries.withdrawal_of(trader("Eve", tier=2).pk, row.pk)


def test_is_not_cancelled_once_it_is_approved(treasury: Treasury) -> None:
    row = treasury.approved(sats=SMALL)
    with Trace() as trace, pytest.raises(WrongState):
        actions.cancel_withdrawal(withdrawal_id=row.pk, actor=customer_actor(treasury.tom), now=treasury.now)
    trace.only_refused("custody.withdrawal.cancelled")
    assert treasury.funding().held == row.amount + row.fee


def test_expires_when_its_time_is_over_and_not_before(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    assert queries.overdue_withdrawals(now=treasury.now) == []
    with Trace() as early:
        actions.expire_withdrawal(withdrawal_id=row.pk, actor=ROBOT, now=treasury.now)
    assert early.events == []
    late = row.expires_at
    assert queries.overdue_withdrawals(now=late) == [row.pk]
    with Trace() as trace:
        actions.expire_withdrawal(withdrawal_id=row.pk, actor=ROBOT, now=late)
    row.refresh_from_db()
    assert row.state == "expired"
    assert treasury.funding().held.units == 0
    assert trace.events == ["custody.withdrawal.expired"]


def test_expires_once_approved_where_it_is_not_built_in_time(treasury: Treasury) -> None:
    row = treasury.approved(sats=SMALL)
    assert row.request is not None
    overdue(row.request, "execute_by")
    with Trace() as trace, pytest.raises(StepRefused, match="deadline has passed"):
        treasury.built(row)
    trace.only_refused("custody.payment.built")
    assert expire_request(request_id=row.request.pk, actor=ROBOT, now=treasury.now)
    assert queries.withdrawal(row.pk).state == "expired"
    assert treasury.funding().held.units == 0


def test_is_shown_to_officers_who_may_see_it_and_to_nobody_else(treasury: Treasury) -> None:
    row, now = treasury.request(SMALL), treasury.now
    for officer in (treasury.staff.ana, treasury.staff.ben, treasury.staff.dot):
        assert queries.withdrawal_for(row.pk, identity=officer.identity, now=now) == row
    for stranger in (treasury.staff.eve.identity, treasury.tom.identity, None):
        assert list(queries.withdrawals_for(identity=stranger, now=now)) == []
        with pytest.raises(NotFound):
            queries.withdrawal_for(row.pk, identity=stranger, now=now)


@pytest.mark.parametrize(
    "change", ["units = 1", f"destination = '{HOME[:-1]}x'", "fee_cap_units = 1", "customer_id = NULL"]
)
def test_is_never_rewritten_in_the_database(treasury: Treasury, change: str) -> None:
    treasury.request(SMALL)
    for statement in (f"UPDATE custody_withdrawal SET {change}", "DELETE FROM custody_withdrawal"):
        with pytest.raises(DatabaseError, match="keeps"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize("units", [-BTC, -1, 0, 1, 9_999, 10**47])
def test_is_not_requested_over_an_amount_that_is_none(treasury: Treasury, units: int) -> None:
    """Below zero, nothing, dust, and more than there ever will be, also without a limit."""
    treasury.tom = trader("Tia", tier=4)
    treasury.deposit(BTC)
    with Trace() as trace, pytest.raises(Refused):
        treasury.request(units)
    trace.only_refused("custody.withdrawal.requested")
    assert (treasury.funding().held.units, Withdrawal.objects.exists()) == (0, False)
    assert not Beneficiary.objects.exists()


def test_has_terms_under_which_what_arrives_is_more_than_dust() -> None:
    for terms in withdrawals.TERMS.values():
        assert terms.minimum.units > DUST_SATS
        assert terms.fee < terms.minimum
