"""The tripwire …"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection

from core import audit, ledger, privileges
from core.action import action
from core.actor import Actor
from core.audit import guarded, tripwire
from core.audit.models import AuditEvent
from core.freezes.models import Freeze
from core.ledger import AccountKind, Leg, rules
from core.ledger.models import JournalEntry
from custody.models import Asker
from kernel.money import Amount
from tests.roles import own_names_only

UNAUDITED = "unaudited: "


THEFT = (
    "INSERT INTO public.ledger_entry (id, kind, reference, posted_at)"
    " VALUES (gen_random_uuid(), 'theft', 'x', now());"
)
# What a role would want to put in the tripwire's way, were there a schema in which it could make anything.
IMPOSTORS = """
CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO cs_worker;
CREATE TABLE evil.audit_event AS SELECT pg_catalog.txid_current() AS tx, 0 AS n, gen_random_uuid() AS act;
GRANT SELECT ON evil.audit_event TO cs_worker;
CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (FUNCTION = evil.yes, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR evil.= (FUNCTION = evil.yes, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION evil.txid_current() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT 'postgres'$$;
CREATE FUNCTION evil.has_table_privilege(name, text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
"""


class Event(StrEnum):
    DONE = "test.done"


def post(now: datetime, reference: str) -> None:
    customer = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", uuid4())
    wallet = ledger.account(AccountKind.HOT_WALLET, "BTC")
    legs = [Leg(customer, Amount(5, "BTC")), Leg(wallet, Amount(-5, "BTC"))]
    ledger.post("custody.deposit", reference, legs, now=now)


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
        own_names_only(cursor)
        cursor.execute(f"SET ROLE {role}")
        own = THEFT.replace("theft", rules.WRITERS[role][0])
        with pytest.raises(DatabaseError, match=UNAUDITED):
            cursor.execute(f"BEGIN; {setting} {own} COMMIT")
        cursor.execute("ROLLBACK; RESET ROLE")
    assert not JournalEntry.objects.exists()


@pytest.mark.parametrize(
    "change", ["UPDATE public.custody_asker SET name = 'Eve';", "DELETE FROM public.custody_asker;"]
)
def test_stops_what_changes_or_removes_a_row_too(real_database: str, change: str) -> None:
    asker = Asker.objects.create(officer=uuid4(), name="Ana", registry_version=1)
    with connection.cursor() as cursor:
        own_names_only(cursor)
        cursor.execute("SET ROLE cs_worker")
        with pytest.raises(DatabaseError, match=UNAUDITED):
            cursor.execute(f"BEGIN; {change} COMMIT")
        cursor.execute("ROLLBACK; RESET ROLE")
    asker.refresh_from_db()
    assert asker.name == "Ana"


EVENT = "INSERT INTO public.audit_event (canon, act) VALUES ('{}', gen_random_uuid());"
ROW = "(id, kind, reference, posted_at)"
TRICKS = {
    "an event that is taken back": f"{THEFT} SAVEPOINT s; {EVENT} ROLLBACK TO s;",
    "a check before that": f"{THEFT} SAVEPOINT s; {EVENT} SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO s;",
    "in a savepoint that is let go": f"{THEFT} SAVEPOINT s; SAVEPOINT t; {EVENT}"
    " SET CONSTRAINTS ALL IMMEDIATE; RELEASE t; ROLLBACK TO s;",
    "in a block that fails": f"{THEFT} DO $$ BEGIN BEGIN {EVENT} SET CONSTRAINTS ALL IMMEDIATE;"
    " RAISE EXCEPTION 'x'; EXCEPTION WHEN others THEN NULL; END; END $$;",
    "the event of the transaction before": f"{EVENT} COMMIT AND CHAIN; {THEFT}",
    "two phases": f"{THEFT} PREPARE TRANSACTION 'theft';",
    "nothing, if it were there": THEFT.replace(";", " ON CONFLICT DO NOTHING;"),
    "a part of a question": f"WITH made AS ({THEFT.rstrip(';')} RETURNING 1) SELECT 1;",
    "a merge": f"MERGE INTO public.ledger_entry AS old USING (SELECT gen_random_uuid() AS id) AS new"
    f" ON old.id = new.id WHEN NOT MATCHED THEN INSERT {ROW} VALUES (new.id, 'theft', 'x', now());",
    "copied in": "",
}


def test_is_passed_by_no_turn_of_the_language(real_database: str) -> None:
    """Whatever it was, the role commits nothing by it."""
    with connection.cursor() as cursor:
        own_names_only(cursor)
        cursor.execute("SET ROLE cs_worker")
        for name, trick in TRICKS.items():
            with pytest.raises(DatabaseError, match=UNAUDITED):  # noqa: PT012 -- one attack
                cursor.execute(f"BEGIN; {trick}")
                if not trick:
                    with cursor.copy(f"COPY public.ledger_entry {ROW} FROM STDIN") as copy:
                        copy.write_row((uuid4(), "theft", "x", "2026-01-01"))
                cursor.execute("COMMIT")
                pytest.fail(name)
            cursor.execute("ROLLBACK")
        cursor.execute("RESET ROLE")
    assert not JournalEntry.objects.exists()


def test_believes_no_name_that_is_put_in_its_way(real_database: str, robot: Actor, now: datetime) -> None:
    with connection.cursor() as cursor:
        own_names_only(cursor)
        cursor.execute(IMPOSTORS)
        cursor.execute("SET ROLE cs_worker")
        with pytest.raises(DatabaseError, match=UNAUDITED):
            cursor.execute(f"BEGIN; {THEFT} SET LOCAL search_path = evil, public, pg_catalog; COMMIT")
        cursor.execute("ROLLBACK; RESET ROLE")
    assert not JournalEntry.objects.exists()
    honest(actor=robot, now=now)


def test_takes_no_reading_for_an_act_whoever_writes_it(real_database: str) -> None:
    """A role names no act to the database, so what it wrote itself must be an act's event."""
    with connection.cursor() as cursor:
        own_names_only(cursor)
        cursor.execute(f"SET ROLE cs_worker; BEGIN; {THEFT}")
        cursor.execute("INSERT INTO audit_event (canon, act) VALUES ('{}', NULL)")
        with pytest.raises(DatabaseError, match=UNAUDITED):
            cursor.execute("COMMIT")
        cursor.execute("ROLLBACK; RESET ROLE")


def test_counts_no_event_of_a_transaction_beside_it(real_database: str) -> None:
    def elsewhere() -> None:
        with connection.cursor() as other:
            other.execute("INSERT INTO audit_event (canon, act) VALUES ('{}', gen_random_uuid())")
        connection.close()

    with connection.cursor() as cursor, ThreadPoolExecutor(1) as beside:
        own_names_only(cursor)
        beside.submit(elsewhere).result()
        cursor.execute(f"SET ROLE cs_worker; BEGIN; {THEFT}")
        beside.submit(elsewhere).result()
        with pytest.raises(DatabaseError, match=UNAUDITED):
            cursor.execute("COMMIT")
        cursor.execute("ROLLBACK; RESET ROLE")


def test_asks_the_index_also_where_nothing_is_known_of_the_table(real_database: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event SET (autovacuum_enabled = false)")
        for count in (0, 20_000):
            cursor.execute(
                "INSERT INTO audit_event (canon, act) SELECT '{}', gen_random_uuid()"
                " FROM generate_series(1, %s)",
                [count],
            )
            cursor.execute(f"EXPLAIN SELECT {tripwire.LOOKUP}")
            plan = " ".join(line for (line,) in cursor.fetchall())
            assert "audit_event_pkey" in plan, plan
            assert "Seq Scan" not in plan, plan


@pytest.mark.django_db
def test_minds_every_table_or_says_why_not() -> None:
    """Other people's tables and those that no model knows as well."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p', 'm', 'f')"
        )
        found = {name for (name,) in cursor.fetchall()}
    assert not guarded.GUARDED.keys() & guarded.FREE.keys()
    assert found == guarded.GUARDED.keys() | guarded.FREE.keys(), "sort the table into core/audit/guarded.py"


@pytest.mark.django_db
def test_stands_on_every_table_of_the_list() -> None:
    assert tripwire.guarded() == guarded.GUARDED.keys()
