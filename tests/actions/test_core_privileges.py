"""The application's database roles …"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core import audit, ledger, privileges
from core.action import action
from core.actor import Actor
from core.ledger import AccountKind, Leg, invariants
from kernel.money import Amount
from tests.roles import as_role

pytestmark = pytest.mark.django_db


class Event(StrEnum):
    MOVED = "test.moved"


@action(Event.MOVED)
def deposit(*, owner: UUID, actor: Actor, now: datetime) -> None:
    post("custody.deposit", AccountKind.HOT_WALLET, AccountKind.CUSTOMER_FUNDING, owner, now, units=500)
    audit.record(Event.MOVED, "x", actor=actor, now=now)


@action(Event.MOVED)
def work(*, role: str, owner: UUID, actor: Actor, now: datetime) -> None:
    funding = AccountKind.CUSTOMER_FUNDING
    if role == "cs_worker":
        post("engine.transfer_returned", AccountKind.IN_TRANSIT, funding, owner, now)
    if role == "cs_trader":
        post("engine.transfer_started", funding, AccountKind.IN_TRANSIT, owner, now)
    customer = ledger.account(funding, "BTC", owner)
    ledger.hold(customer, Amount(100, "BTC"), "h1", now=now)
    ledger.void_hold("h1", now=now)
    audit.record(Event.MOVED, "x", actor=actor, now=now)


def post(
    kind: str, source: AccountKind, target: AccountKind, owner: UUID, now: datetime, *, units: int = 250
) -> None:
    ends = [
        ledger.account(end, "BTC", None if end is AccountKind.HOT_WALLET else owner)
        for end in (source, target)
    ]
    legs = [Leg(end, Amount(moved, "BTC")) for end, moved in zip(ends, (-units, units), strict=True)]
    ledger.post(kind, "one", legs, now=now)


@pytest.fixture(params=privileges.ROLES)
def role(request: pytest.FixtureRequest) -> Iterator[str]:
    with as_role(request.param):
        yield request.param


@pytest.mark.parametrize("role", privileges.ROLES)
def test_can_do_their_work(role: str, robot: Actor, now: datetime) -> None:
    owner = uuid4()
    deposit(owner=owner, actor=robot, now=now)
    if role == "cs_worker":

        @action(Event.MOVED)
        def start(*, actor: Actor, now: datetime) -> None:
            funding, transit = AccountKind.CUSTOMER_FUNDING, AccountKind.IN_TRANSIT
            post("engine.transfer_started", funding, transit, owner, now)
            audit.record(Event.MOVED, "x", actor=actor, now=now)

        start(actor=robot, now=now)
    with as_role(role):
        work(role=role, owner=owner, actor=robot, now=now)
    assert not any(invariants.broken().values())


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE ledger_account SET units = 10",
        "UPDATE ledger_account SET owner = NULL",
        "DELETE FROM ledger_account",
        "INSERT INTO audit_event (n, canon) OVERRIDING SYSTEM VALUE VALUES (1, '{}')",
        "INSERT INTO audit_event (tx, canon) VALUES (txid_current(), '{}')",
        "SELECT setval('audit_event_n_seq', 1)",
        "UPDATE audit_checkpoint SET note = ''",
        "DELETE FROM audit_mention",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TRIGGER audit_event_rows ON audit_event",
        "TRUNCATE audit_event CASCADE",
        "DELETE FROM ledger_hold",
        "DELETE FROM outbox_delivery",
        "UPDATE outbox_message SET body = '{}'",
        "DELETE FROM outbox_message",
        "DELETE FROM django_migrations",
        "CREATE TABLE mine (id int)",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    ],
)
def test_cannot_rewrite_the_record(attack: str, role: str) -> None:
    with (
        pytest.raises(DatabaseError, match=r"permission denied|must be owner"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(attack)


@pytest.mark.parametrize("column", ["display_name", "email"])
def test_call_nobody_by_another_name(column: str, role: str) -> None:
    """Officers agree to a change of "Ben", and the log says who acted: no event makes somebody else Ben."""
    with (
        pytest.raises(
            DatabaseError, match="a name is given once" if role == "cs_worker" else "permission denied"
        ),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE access_identity SET {column} = 'ben@countersign.example'")


def test_seal_nothing_but_as_the_worker(role: str) -> None:
    """What looks sealed must come from the sealer, whose role is the workers'."""
    for table in privileges.WORKER_ONLY:
        with connection.cursor() as cursor:
            cursor.execute("SELECT has_any_column_privilege(%s, %s, 'INSERT')", [role, table])
            assert cursor.fetchone() == (role == "cs_worker",), table


def test_copy_the_engine_and_the_chain_as_the_worker_only(role: str) -> None:
    """Nor does anybody else say that a warning has been sent."""
    for table in (*privileges.MIRRORS, "outbox_delivery"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT has_any_column_privilege(%s, %s, 'UPDATE')", [role, table])
            assert cursor.fetchone() == (role == "cs_worker",), table


LEVERS = """
SELECT relname, privilege FROM pg_class, unnest(ARRAY['TRUNCATE', 'TRIGGER', 'REFERENCES']) AS privilege
WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
AND has_table_privilege(%s, oid, privilege)
UNION ALL
SELECT relname, 'is its owner' FROM pg_class WHERE relnamespace = 'public'::regnamespace
AND pg_has_role(%s, relowner, 'MEMBER')
UNION ALL
SELECT rolname, 'is above the guards' FROM pg_roles WHERE rolname = %s
AND (rolsuper OR rolbypassrls OR rolreplication OR rolcreaterole OR rolcreatedb)
UNION ALL
SELECT 'session_replication_role', 'may be set'
WHERE has_parameter_privilege(%s, 'session_replication_role', 'SET, ALTER SYSTEM')
"""


def test_hold_no_lever_that_a_guard_would_give_way_to(role: str) -> None:
    """No table can be emptied as a whole, given a trigger, or have its triggers taken off or passed by."""
    with connection.cursor() as cursor:
        cursor.execute(LEVERS, [role] * 4)
        assert cursor.fetchall() == []


@pytest.mark.django_db
def test_are_held_by_guards_that_no_session_setting_skips() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal"
        )
        guards = cursor.fetchall()
    assert [row for row in guards if row[2] != "A"] == []
    names = {name for _, name, _ in guards}
    recorded = {*privileges.ADD_ONLY, *privileges.WORKER_ONLY}
    assert {f"{table}_{which}" for table in recorded for which in ("rows", "whole")} <= names
