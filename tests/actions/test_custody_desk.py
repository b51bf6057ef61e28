"""The custody desk …"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from core import ledger
from core.approvals.actions import submit_signature
from core.approvals.actions.signatures import MakerCannotCheck
from core.ledger import AccountKind, invariants
from core.refusals import NotAllowed, NotFound, Refused
from custody import actions, probes, queries
from custody.actions.addresses import PoolEmpty
from custody.actions.adjustments import BadAdjustment, ReferenceUsed
from custody.actions.prices import QuoteRefused
from custody.actions.registry import WrongRegistry
from custody.domain import limits
from custody.domain.limits import Quote
from custody.domain.wallets import Targets
from custody.models import Address, Adjustment, PaymentPolicy, Price, Wallet
from customers.models import Customer
from kernel.money import Amount
from kernel.registry import Registry
from tests.sql import as_the_console, refused, signature_sql
from tests.stockroom import Lend
from tests.traces import Trace
from tests.treasury import BTC, HOT, PRICE_CENTS, ROBOT, Treasury, customer_actor, registry, trader

pytestmark = pytest.mark.django_db

NO_TARGETS = Targets(Amount(0, "BTC"), Amount(0, "BTC"))
CREDIT = Amount(5_000_000_000, "USDT")


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(Treasury.open, now)


def assign(customer: Customer, now: datetime) -> Address:
    return actions.assign_address(
        customer_id=customer.pk, asset="BTC", actor=customer_actor(customer), now=now
    )


def adjust(treasury: Treasury, reference: str = "wire 4711", **changes: object) -> Adjustment:
    arguments = {
        "customer_id": treasury.tom.pk,
        "amount": CREDIT,
        "reason": "a wire came in",
        "reference": reference,
        "actor": treasury.staff.ana.actor,
        "now": treasury.now,
    }
    return actions.request_adjustment(**arguments | changes)  # type: ignore[arg-type]


def answer(treasury: Treasury, row: Adjustment, *names: str, verb: str = "approve") -> None:
    assert row.request is not None
    for name in names:
        officer = getattr(treasury.staff, name)
        submit_signature(
            request_id=row.request.pk,
            signed=officer.answer(row.request, verb, "no wire" if verb == "reject" else ""),
            actor=officer.actor,
            now=treasury.now,
        )


def test_gives_each_customer_one_address_of_their_own(treasury: Treasury) -> None:
    with Trace() as trace:
        mine = assign(treasury.tom, treasury.now)
    assert (mine.wallet.tier, mine.index, mine.customer_id) == ("hot", 1, treasury.tom.pk)
    assert trace.events == ["custody.address.assigned"]
    with Trace() as again:
        assert assign(treasury.tom, treasury.now) == mine
    assert again.events == []
    assert assign(trader("Tia", tier=0), treasury.now) != mine
    assert queries.deposit_address_of(treasury.tom.pk) == mine


def test_never_gives_away_the_change_address_nor_an_address_twice(treasury: Treasury) -> None:
    given = {assign(trader(f"T{number}", tier=0), treasury.now).index for number in range(HOT - 1)}
    assert given == set(range(1, HOT))
    with Trace() as trace, pytest.raises(PoolEmpty):
        assign(treasury.tom, treasury.now)
    trace.only_refused("custody.address.assigned")
    refusal = pytest.raises(DatabaseError, match="keeps its owner")
    with refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE custody_address SET customer_id = NULL, assigned_at = NULL WHERE index = 1")


def test_gives_addresses_to_the_customer_only(treasury: Treasury) -> None:
    for actor in (ROBOT, treasury.staff.ana.actor, customer_actor(trader("Tia", tier=2))):
        with pytest.raises(NotAllowed):
            actions.assign_address(customer_id=treasury.tom.pk, asset="BTC", actor=actor, now=treasury.now)


def test_adjusts_a_balance_when_two_others_agree(treasury: Treasury) -> None:
    with Trace() as trace:
        row = adjust(treasury)
    assert row.state == "requested"
    assert trace.events == ["approvals.request.opened", "custody.adjustment.requested"]
    answer(treasury, row, "ben")
    row.refresh_from_db()
    assert row.state == "requested"
    with Trace() as trace:
        answer(treasury, row, "cy")
    row.refresh_from_db()
    assert (row.state, row.posted_at) == ("posted", treasury.now)
    account = ledger.account(AccountKind.CUSTOMER_FUNDING, "USDT", treasury.tom.pk)
    outside = ledger.account(AccountKind.EXTERNAL, "USDT")
    assert ledger.balance(account).posted == ledger.balance(outside).posted == CREDIT
    assert trace.events.count("custody.adjustment.posted") == 1
    assert not any(invariants.broken().values())


def test_adjusts_nothing_for_one_officer_alone(treasury: Treasury) -> None:
    """Who asks does not agree, nobody agrees twice, and no row of theirs says that two did."""
    row = adjust(treasury)
    assert row.request is not None
    with pytest.raises(MakerCannotCheck):
        answer(treasury, row, "ana")
    answer(treasury, row, "ben")
    with pytest.raises(Refused):
        answer(treasury, row, "ben")
    with as_the_console():
        refused(
            "UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.request.pk, match="quorum"
        )
        refused(*_as_cy_for_ben(treasury, row), match="signature_|credential|officer")
    row.refresh_from_db()
    account = ledger.account(AccountKind.CUSTOMER_FUNDING, "USDT", treasury.tom.pk)
    assert (row.state, ledger.balance(account).posted.units) == ("requested", 0)


def _as_cy_for_ben(treasury: Treasury, row: Adjustment) -> tuple[object, ...]:
    """Cy's name under a signature by Ben's passkey."""
    assert row.request is not None
    ben = treasury.staff.ben.identity.credentials.get()
    sql, values = signature_sql(treasury.staff.cy, row.request, credential_id=ben.pk)
    return sql, *values


def test_adjusts_nothing_when_somebody_objects(treasury: Treasury) -> None:
    row = adjust(treasury)
    answer(treasury, row, "ben", verb="reject")
    row.refresh_from_db()
    assert row.state == "rejected"
    assert ledger.balance(ledger.account(AccountKind.EXTERNAL, "USDT")).posted.units == 0


def test_adjusts_once_under_one_reference(treasury: Treasury) -> None:
    adjust(treasury)
    with Trace() as trace, pytest.raises(ReferenceUsed):
        adjust(treasury)
    trace.only_refused("custody.adjustment.requested")
    assert Adjustment.objects.count() == 1


def test_takes_an_adjustment_from_those_who_may_ask_only(treasury: Treasury) -> None:
    for who in ("ben", "dot", "eve", "sam"):
        with Trace() as trace, pytest.raises(NotAllowed):
            adjust(treasury, actor=getattr(treasury.staff, who).actor)
        trace.only_refused("custody.adjustment.requested")
    with pytest.raises(NotAllowed):
        adjust(treasury, actor=ROBOT)


def test_takes_no_adjustment_of_nothing_for_nobody(treasury: Treasury) -> None:
    with pytest.raises(BadAdjustment):
        adjust(treasury, amount=Amount(0, "USDT"))
    with pytest.raises(BadAdjustment):
        adjust(treasury, amount=Amount(-5, "USDT"))
    with pytest.raises(BadAdjustment):
        adjust(treasury, reference="")
    with pytest.raises(NotFound):
        adjust(treasury, customer_id=treasury.staff.ana.identity.pk)


def test_shows_adjustments_to_those_who_make_or_check_them(treasury: Treasury) -> None:
    row = adjust(treasury)
    for officer in (treasury.staff.ana, treasury.staff.ben, treasury.staff.dot):
        found = queries.adjustment_for(row.pk, identity=officer.identity, now=treasury.now)
        assert found == row
    for stranger in (treasury.staff.eve.identity, None):
        with pytest.raises(NotFound):
            queries.adjustment_for(row.pk, identity=stranger, now=treasury.now)


def load(registry: Registry, now: datetime) -> list[Wallet]:
    return actions.load_registry(registry=registry, targets=NO_TARGETS, actor=ROBOT, now=now)


def test_loads_a_registry_again_without_changing_anything(treasury: Treasury) -> None:
    before = list(Address.objects.order_by("pk").values())
    load(registry(), treasury.now)
    assert list(Address.objects.order_by("pk").values()) == before
    assert {policy.kind: policy.teams for policy in PaymentPolicy.objects.all()} == {
        "custody.withdrawal": {"treasury": 2},
        "custody.refill": {"treasury": 2},
        "custody.sweep": {"treasury": 2},
    }


def test_refuses_a_registry_that_is_not_for_it(treasury: Treasury) -> None:
    with Trace() as trace, pytest.raises(WrongRegistry):
        load(registry("elsewhere"), treasury.now)
    trace.only_refused("custody.registry.loaded")


def test_refuses_a_registry_with_other_keys_under_an_address_in_use(treasury: Treasury) -> None:
    plain = registry()
    hot = plain.wallets["hot"]
    swapped = replace(hot, keys=(hot.keys[1], hot.keys[0], *hot.keys[2:]))
    with pytest.raises(WrongRegistry, match="other keys"):
        load(replace(plain, wallets={**plain.wallets, "hot": swapped}), treasury.now)


def test_opens_no_request_without_a_policy(treasury: Treasury) -> None:
    treasury.deposit(100_000_000)
    row = treasury.request(1_000_000)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    PaymentPolicy.objects.all().delete()
    with pytest.raises(queries.NoPolicy):
        actions.release_from_screening(
            withdrawal_id=row.pk, reason="x", actor=treasury.staff.ana.actor, now=treasury.now
        )


def test_stores_a_quote_once_and_the_newest_counts(treasury: Treasury) -> None:
    now, later = treasury.now, treasury.now + timedelta(minutes=1)
    quote = Quote("BTC", 61_000_00, later)
    with Trace() as trace:
        actions.report_price(quote=quote, source="feed", actor=ROBOT, now=later)
    assert trace.events == ["custody.price.reported"]
    with Trace() as again:
        actions.report_price(quote=quote, source="feed", actor=ROBOT, now=later)
    assert again.events == []
    actions.report_price(quote=Quote("BTC", 1, now), source="late", actor=ROBOT, now=later)
    newest = queries.latest_price("BTC", now=later)
    assert newest is not None
    assert newest.cents == 61_000_00


def test_goes_by_no_quote_from_the_future_that_a_clock_which_was_ahead_has_left(treasury: Treasury) -> None:
    """It would hide every quote until its moment comes, and nobody could withdraw."""
    ahead, now = treasury.now + timedelta(days=300), treasury.now + timedelta(minutes=3)
    actions.report_price(quote=Quote("BTC", 1, ahead), source="feed", actor=ROBOT, now=ahead)
    newest = queries.latest_quote("BTC", now=now)
    assert newest is not None
    assert newest.quoted_at == treasury.now
    assert limits.value(Amount(BTC, "BTC"), newest, now=now) == PRICE_CENTS
    assert probes.read_prices(now).sentence == "The price is 180 s old."


def test_stores_no_quote_from_the_future_nor_for_nothing(treasury: Treasury) -> None:
    for quote in (Quote("BTC", 1, treasury.now + timedelta(hours=1)), Quote("BTC", 0, treasury.now)):
        with Trace() as trace, pytest.raises(QuoteRefused):
            actions.report_price(quote=quote, source="feed", actor=ROBOT, now=treasury.now)
        trace.only_refused("custody.price.reported")
    assert Price.objects.count() == 1
