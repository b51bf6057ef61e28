"""The tripwire …"""

from datetime import datetime
from enum import StrEnum
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import DatabaseError, connection

from core import audit, ledger, privileges
from core.action import action
from core.actor import Actor
from core.audit import guarded, tripwire
from core.audit.models import AuditEvent
from core.freezes.models import Freeze
from core.ledger import AccountKind, Leg
from core.ledger.models import JournalEntry
from kernel.money import Amount

UNAUDITED = "unaudited: "
MAKE_ROLE = "DO $$ BEGIN CREATE ROLE {name}; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"


class Event(StrEnum):
    DONE = "test.done"


def post(now: datetime, reference: str) -> None:
    customer = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", uuid4())
    wallet = ledger.account(AccountKind.HOT_WALLET, "BTC")
    legs = [Leg(customer, Amount(5, "BTC")), Leg(wallet, Amount(-5, "BTC"))]
    ledger.post("test.deposit", reference, legs, now=now)


@action(Event.DONE)
def honest(*, actor: Actor, now: datetime) -> None:
    post(now, "honest")
    audit.record(Event.DONE, "thing/1", actor=actor, now=now)


@action(Event.DONE)
def forgetful(*, actor: Actor, now: datetime) -> None:
    post(now, "forgetful")


@action(Event.DONE)
def reading_is_not_acting(*, actor: Actor, now: datetime) -> None:
    post(now, "read")
    audit.record_read(Event.DONE, "thing/1", of="person/1", actor=actor, now=now)


def test_lets_a_change_with_its_event_commit(real_database: str, robot: Actor, now: datetime) -> None:
    honest(actor=robot, now=now)
    assert JournalEntry.objects.count() == AuditEvent.objects.count() == 1


def test_undoes_a_change_without_an_event_at_commit(real_database: str, robot: Actor, now: datetime) -> None:
    with pytest.raises(DatabaseError, match=UNAUDITED):
        forgetful(actor=robot, now=now)
    assert not JournalEntry.objects.exists()


def test_takes_no_other_event_of_the_transaction_for_the_acts_own(
    real_database: str, robot: Actor, now: datetime
) -> None:
    with pytest.raises(DatabaseError, match=UNAUDITED):
        reading_is_not_acting(actor=robot, now=now)


@pytest.mark.django_db
def test_speaks_up_in_tests_that_never_commit(robot: Actor, now: datetime) -> None:
    honest(actor=robot, now=now)
    with pytest.raises(DatabaseError, match=UNAUDITED):
        forgetful(actor=robot, now=now)
    assert JournalEntry.objects.get().reference == "honest"


@pytest.mark.django_db
def test_lets_the_owner_set_a_scene_outside_of_actions(robot: Actor, now: datetime) -> None:
    Freeze.objects.create(scope="asset:BTC", pulled_at=now, reason="a scene")
    connection.check_constraints()
    honest(actor=robot, now=now)


@pytest.mark.parametrize("setting", ["session_replication_role = replica", "countersign.act = ''"])
def test_cannot_be_switched_off_by_a_session_setting(
    real_database: str, setting: str, robot: Actor, now: datetime
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {setting}")
    with pytest.raises(DatabaseError, match=UNAUDITED):
        forgetful(actor=robot, now=now)


@pytest.mark.parametrize("role", privileges.ROLES)
@pytest.mark.parametrize("setting", ["", "SET CONSTRAINTS ALL DEFERRED;", "SET LOCAL countersign.act = '';"])
def test_stops_raw_sql_of_the_applications_roles(real_database: str, role: str, setting: str) -> None:
    with connection.cursor() as cursor:
        for name in (*privileges.ROLES, *privileges.READERS):
            cursor.execute(MAKE_ROLE.format(name=name))
        for statement in privileges.statements():
            cursor.execute(statement)
        cursor.execute(f"SET ROLE {role}")
        with pytest.raises(DatabaseError, match=UNAUDITED):
            cursor.execute(
                f"BEGIN; {setting} INSERT INTO ledger_entry (id, kind, reference, posted_at)"
                " VALUES (gen_random_uuid(), 'theft', 'x', now()); COMMIT"
            )
        cursor.execute("ROLLBACK; RESET ROLE")
    assert not JournalEntry.objects.exists()


def test_minds_every_table_of_ours_or_says_why_not() -> None:
    ours = {
        model._meta.db_table
        for config in apps.get_app_configs()
        if config.name.split(".")[0] in {"core", "custody", "kyc", "customers", "engine_bridge", "operations"}
        for model in config.get_models(include_auto_created=True)
    }
    assert not guarded.GUARDED.keys() & guarded.FREE.keys()
    assert ours == guarded.GUARDED.keys() | guarded.FREE.keys(), "sort the table into core/audit/guarded.py"


@pytest.mark.django_db
def test_stands_on_every_table_of_the_list() -> None:
    assert tripwire.guarded() == guarded.GUARDED.keys()
