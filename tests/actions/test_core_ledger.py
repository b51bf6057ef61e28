"""The ledger …"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from core import audit, ledger
from core.action import NoOpenAction, action
from core.actor import Actor
from core.copying import copy_rows
from core.ledger import AccountKind, Leg, invariants
from core.ledger.entries import InsufficientFunds, ReferenceReused, Unbalanced
from core.ledger.holds import HoldClosed
from core.ledger.models import Account, Hold, JournalEntry
from kernel.money import Amount

pytestmark = pytest.mark.django_db


class Event(StrEnum):
    MOVED = "test.moved"


@action(Event.MOVED)
def deposit(*, owner: UUID, units: int, reference: str, actor: Actor, now: datetime) -> JournalEntry:
    wallet = ledger.account(AccountKind.HOT_WALLET, "BTC")
    customer = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", owner)
    legs = [Leg(customer, Amount(units, "BTC")), Leg(wallet, Amount(-units, "BTC"))]
    audit.record(Event.MOVED, f"test/{reference}", actor=actor, now=now)
    return ledger.post("custody.deposit", reference, legs, now=now)


@action(Event.MOVED)
def reserve(*, owner: UUID, units: int, reference: str, actor: Actor, now: datetime) -> Hold:
    customer = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", owner)
    audit.record(Event.MOVED, f"test/{reference}", actor=actor, now=now)
    return ledger.hold(customer, Amount(units, "BTC"), reference, now=now)


@action(Event.MOVED)
def pay(*, owner: UUID, units: int, reference: str, actor: Actor, now: datetime) -> JournalEntry:
    wallet = ledger.account(AccountKind.HOT_WALLET, "BTC")
    customer = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", owner)
    legs = [Leg(customer, Amount(-units, "BTC")), Leg(wallet, Amount(units, "BTC"))]
    audit.record(Event.MOVED, f"test/{reference}", actor=actor, now=now)
    return ledger.post_hold(reference, "custody.withdrawal", reference, legs, now=now)


@action(Event.MOVED)
def void(*, reference: str, actor: Actor, now: datetime) -> Hold:
    audit.record(Event.MOVED, f"test/{reference}", actor=actor, now=now)
    return ledger.void_hold(reference, now=now)


def by_hand(statement: str, parameters: list[object]) -> None:
    """The statement, and what the database would check at its commit."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def balances(owner: UUID) -> tuple[int, int, int]:
    found = ledger.balance(ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", owner))
    return found.posted.units, found.held.units, found.available.units


def test_raises_both_sides_by_one_entry(robot: Actor, now: datetime) -> None:
    owner = uuid4()
    deposit(owner=owner, units=500, reference="d1", actor=robot, now=now)
    assert balances(owner) == (500, 0, 500)
    assert ledger.balance(ledger.account(AccountKind.HOT_WALLET, "BTC")).posted.units == 500
    assert not any(invariants.broken().values())


def test_posts_the_same_reference_once(robot: Actor, now: datetime) -> None:
    owner = uuid4()
    first = deposit(owner=owner, units=500, reference="d1", actor=robot, now=now)
    assert deposit(owner=owner, units=500, reference="d1", actor=robot, now=now) == first
    assert balances(owner) == (500, 0, 500)
    with pytest.raises(ReferenceReused):
        deposit(owner=owner, units=501, reference="d1", actor=robot, now=now)


def test_keeps_a_hold_from_being_spent_twice(robot: Actor, now: datetime) -> None:
    owner = uuid4()
    deposit(owner=owner, units=500, reference="d1", actor=robot, now=now)
    reserve(owner=owner, units=300, reference="h1", actor=robot, now=now)
    assert balances(owner) == (500, 300, 200)
    with pytest.raises(InsufficientFunds):
        reserve(owner=owner, units=201, reference="h2", actor=robot, now=now)
    pay(owner=owner, units=300, reference="h1", actor=robot, now=now)
    assert balances(owner) == (200, 0, 200)
    with pytest.raises(HoldClosed):
        void(reference="h1", actor=robot, now=now)


def test_gives_a_voided_hold_back(robot: Actor, now: datetime) -> None:
    owner = uuid4()
    deposit(owner=owner, units=500, reference="d1", actor=robot, now=now)
    reserve(owner=owner, units=300, reference="h1", actor=robot, now=now)
    void(reference="h1", actor=robot, now=now)
    void(reference="h1", actor=robot, now=now)
    assert balances(owner) == (500, 0, 500)


def test_refuses_legs_that_do_not_balance(robot: Actor, now: datetime) -> None:
    @action(Event.MOVED)
    def lopsided(*, actor: Actor, now: datetime) -> None:
        row = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", uuid4())
        ledger.post("test", "x", [Leg(row, Amount(1, "BTC"))], now=now)

    with pytest.raises(Unbalanced):
        lopsided(actor=robot, now=now)


def test_needs_an_open_action(now: datetime) -> None:
    with pytest.raises(NoOpenAction):
        ledger.post("test", "x", [], now=now)


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE ledger_account SET units = 10",
        "UPDATE ledger_account SET held = 1",
        "UPDATE ledger_account SET owner = gen_random_uuid()",
        "UPDATE ledger_posting SET units = 1000",
        "DELETE FROM ledger_posting",
        "TRUNCATE ledger_posting",
        "DELETE FROM ledger_entry",
        "DELETE FROM ledger_hold",
        "UPDATE ledger_hold SET units = 1",
        "UPDATE ledger_hold SET state = 'pending'",
        "SET session_replication_role = replica; UPDATE ledger_posting SET units = 1000",
    ],
)
def test_yields_to_no_raw_sql(attack: str, robot: Actor, now: datetime) -> None:
    owner = uuid4()
    deposit(owner=owner, units=500, reference="d1", actor=robot, now=now)
    reserve(owner=owner, units=300, reference="h1", actor=robot, now=now)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attack)
    assert balances(owner) == (500, 300, 200)


def test_refuses_an_unbalanced_entry_at_commit_whoever_wrote_it(robot: Actor, now: datetime) -> None:
    owner = uuid4()
    entry = deposit(owner=owner, units=500, reference="d1", actor=robot, now=now)
    row = Account.objects.get(owner=owner)
    with pytest.raises(IntegrityError), transaction.atomic():
        by_hand(
            "INSERT INTO ledger_posting (entry_id, account_id, asset, units) VALUES (%s, %s, 'BTC', 7)",
            [entry.pk, row.pk],
        )


def test_adds_no_legs_to_an_entry_that_stands(robot: Actor, now: datetime) -> None:
    """What was booked under one reference would be booked again under it."""
    entry = deposit(owner=uuid4(), units=500, reference="d1", actor=robot, now=now)
    again = [(leg.entry_id, leg.account_id, leg.asset, leg.units) for leg in entry.postings.all()]
    with pytest.raises(IntegrityError, match="more than it was written with"), transaction.atomic():
        copy_rows("ledger_posting", LEG, again)
    assert not any(invariants.broken().values())


LEG = ("entry_id", "account_id", "asset", "units")


def test_refuses_a_leg_whose_counterpart_would_come_later(robot: Actor, now: datetime) -> None:
    """Each statement balances by itself: between two of them nobody may see money that is not there."""
    entry = deposit(owner=uuid4(), units=500, reference="d1", actor=robot, now=now)
    row = Account.objects.get(kind="hot_wallet")
    columns = "INSERT INTO ledger_posting (entry_id, account_id, asset, units)"
    one = f"SELECT '{entry.pk}'::uuid, '{row.pk}'::uuid, 'BTC', 7"
    with connection.cursor() as cursor:
        with pytest.raises(IntegrityError, match="does not sum to zero"), transaction.atomic():
            cursor.execute(f"{columns} {one}")
        with pytest.raises(IntegrityError), transaction.atomic():
            copy_rows("ledger_posting", LEG, [(entry.pk, row.pk, "BTC", 7)])
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(f"SET session_replication_role = replica; {columns} {one}")
    assert not any(invariants.broken().values())


def test_refuses_a_posting_in_another_asset(robot: Actor, now: datetime) -> None:
    entry = deposit(owner=uuid4(), units=500, reference="d1", actor=robot, now=now)
    row = Account.objects.get(kind="hot_wallet")
    with pytest.raises(IntegrityError), transaction.atomic():
        by_hand(
            "INSERT INTO ledger_posting (entry_id, account_id, asset, units) VALUES (%s, %s, 'USDT', 7)",
            [entry.pk, row.pk],
        )
