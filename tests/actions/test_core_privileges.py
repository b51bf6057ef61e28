"""The application's database roles …"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

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
def deposit(*, actor: Actor, now: datetime) -> None:
    customer = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", uuid4())
    wallet = ledger.account(AccountKind.HOT_WALLET, "BTC")
    ledger.post(
        "test.deposit",
        "d1",
        [Leg(customer, Amount(500, "BTC")), Leg(wallet, Amount(-500, "BTC"))],
        now=now,
    )
    ledger.hold(customer, Amount(100, "BTC"), "h1", now=now)
    ledger.void_hold("h1", now=now)
    audit.record(Event.MOVED, "x", actor=actor, now=now)


@pytest.fixture(params=privileges.ROLES)
def role(request: pytest.FixtureRequest) -> Iterator[str]:
    with as_role(request.param):
        yield request.param


def test_can_do_their_work(role: str, robot: Actor, now: datetime) -> None:
    deposit(actor=robot, now=now)
    assert not any(invariants.broken().values())


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE ledger_account SET units = 10",
        "UPDATE ledger_account SET owner = NULL",
        "DELETE FROM ledger_account",
        "INSERT INTO audit_event (id, canon) OVERRIDING SYSTEM VALUE VALUES (1, '{}')",
        "INSERT INTO audit_event (id, canon) VALUES (1, '{}')",
        "SELECT setval('audit_event_counter', 1)",
        "INSERT INTO audit_checkpoint DEFAULT VALUES",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TRIGGER audit_event_rows ON audit_event",
        "TRUNCATE audit_event CASCADE",
        "DELETE FROM ledger_hold",
        "DELETE FROM django_migrations",
        "CREATE TABLE mine (id int)",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    ],
)
def test_cannot_rewrite_the_record(attack: str, role: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attack)
