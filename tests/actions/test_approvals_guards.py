"""Raw SQL, sent by the application's own role …"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core import approvals, audit, privileges
from core.access.models import Identity
from core.action import action
from core.actor import Actor
from core.approvals import guards, kinds
from core.approvals.actions import submit_signature
from core.approvals.domain.requests import NEXT, State
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.opening import NotApproved
from tests.approvals import hurried
from tests.officers import Officer, Staff

pytestmark = pytest.mark.django_db


class Event(StrEnum):
    ASKED = "test.asked"


@pytest.fixture(autouse=True)
def _as_the_console(db: None) -> Iterator[None]:
    """Everything below runs with the rights of the console's database role."""
    with connection.cursor() as cursor:
        for name in (*privileges.ROLES, *privileges.READERS):
            cursor.execute(
                f"DO $$ BEGIN CREATE ROLE {name};"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"
            )
        for statement in privileges.statements():
            cursor.execute(statement)
        cursor.execute("SET ROLE cs_console")
        yield
        cursor.execute("RESET ROLE")


@pytest.fixture(autouse=True)
def _kind() -> Iterator[None]:
    approvals.register(approvals.Kind(name="test.payment", permission="custody:withdrawal:approve"))
    yield
    del kinds._registered["test.payment"]


@action(Event.ASKED)
def ask(*, maker: Officer, actor: Actor, now: datetime, **members: str) -> ApprovalRequest:
    return approvals.open(
        "test.payment",
        {"v": 1, "amount": "1000", **members},
        maker=maker.identity,
        teams={"treasury": 2},
        subject=f"test.payment/{uuid4()}",
        actor=actor,
        now=now,
    )


@action(Event.ASKED)
def act(*, request: ApprovalRequest, actor: Actor, now: datetime) -> ApprovalRequest:
    audit.record(Event.ASKED, request, actor=actor, now=now)
    return approvals.consume(request, now=now)


@pytest.fixture
def row(staff: Staff, now: datetime) -> ApprovalRequest:
    return ask(maker=staff.ana, actor=staff.ana.actor, now=now)


def sign(officer: Officer, row: ApprovalRequest, now: datetime, verb: str = "approve") -> None:
    submit_signature(
        request_id=row.pk, signed=officer.answer(row, verb, "because"), actor=officer.actor, now=now
    )


DENIED = "permission denied"


def refused(sql: str, *values: object, match: str) -> None:
    with pytest.raises(DatabaseError, match=match), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def as_owner(sql: str, *values: object, match: str) -> None:
    """The same, with the rights of the tables' owner: here the trigger is all that stands."""
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        refused(sql, *values, match=match)
        cursor.execute("SET ROLE cs_console")


def signature_sql(officer: Officer, row: ApprovalRequest, **changes: object) -> tuple[str, list[object]]:
    credential = officer.identity.credentials.get()
    values = {
        "id": uuid4(),
        "request_id": row.pk,
        "maker_id": row.maker_id,
        "digest": bytes(row.digest),
        "officer_id": officer.identity.pk,
        "credential_id": credential.pk,
        "verb": "approve",
        "reason": "",
        "teams": ["treasury"],
        "authenticator_data": b"a",
        "client_data": uuid4().bytes,
        "signature": b"s",
        "confirmation": b"",
        **changes,
    }
    places = ", ".join(["%s"] * len(values))
    return f"INSERT INTO approvals_signature ({', '.join(values)}) VALUES ({places})", list(values.values())


@pytest.mark.parametrize(
    "change",
    [
        "payload = '\\x7b7d'",
        "nonce = sha256('x')",
        "kind = 'other'",
        "teams = '{\"treasury\": 1}'",
        "rejections_needed = 9",
        "agreeing = 'release'",
        "policy_version = 9",
        "rule = 'another'",
        "floor = '{}'",
        "facts = '{}'",
        "approve_within = interval '6 days'",
        "approve_by = approve_by + interval '1 hour'",
        "execute_by = execute_by + interval '1 hour'",
        "opened_at = opened_at - interval '1 hour'",
        "subject = 'test.payment/other'",
        "deployment = 'elsewhere'",
    ],
)
def test_changes_no_term_of_a_request(row: ApprovalRequest, change: str) -> None:
    statement = f"UPDATE approvals_request SET {change} WHERE id = %s"
    refused(statement, row.pk, match=DENIED)
    as_owner(statement, row.pk, match="keeps every column")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_request SET state = 'withdrawn'",
        "INSERT INTO approvals_signature (id) VALUES (gen_random_uuid())",
        "INSERT INTO access_role_grant (id) VALUES (gen_random_uuid())",
        "INSERT INTO access_officer_credential (id) VALUES (gen_random_uuid())",
        "UPDATE access_officer_credential SET sign_count = 0",
        "UPDATE access_identity SET is_active = false",
        "UPDATE freezes_freeze SET released_at = now()",
        "INSERT INTO freezes_freeze (id) VALUES (gen_random_uuid())",
    ],
)
def test_from_the_process_that_faces_traders_reaches_nobodys_rights(
    row: ApprovalRequest, statement: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("SET ROLE cs_trader")
        refused(statement, match=DENIED)


def test_changes_no_digest(row: ApprovalRequest) -> None:
    refused("UPDATE approvals_request SET digest = sha256('x')", match="can only be updated to DEFAULT")


def test_changes_no_maker(row: ApprovalRequest, staff: Staff) -> None:
    statement = "UPDATE approvals_request SET maker_id = %s WHERE id = %s"
    refused(statement, staff.ben.identity.pk, row.pk, match=DENIED)
    as_owner(statement, staff.ben.identity.pk, row.pk, match="keeps every column")


@pytest.mark.parametrize("table", ["approvals_request", "approvals_signature"])
def test_removes_nothing(row: ApprovalRequest, staff: Staff, now: datetime, table: str) -> None:
    sign(staff.ben, row, now)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        refused(statement, match=DENIED)
        as_owner(statement, match="keeps its rows|append-only")


def test_rewrites_no_signature(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    sign(staff.ben, row, now)
    statement = "UPDATE approvals_signature SET verb = 'reject', reason = 'x'"
    refused(statement, match=DENIED)
    as_owner(statement, match="append-only")


def test_approves_nothing_with_too_few(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="quorum")
    sign(staff.ben, row, now)
    refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="quorum")


def test_skips_no_state(row: ApprovalRequest) -> None:
    refused("UPDATE approvals_request SET state = 'consumed' WHERE id = %s", row.pk, match="does not go from")
    refused("UPDATE approvals_request SET state = 'rejected' WHERE id = %s", row.pk, match="too few")
    refused("UPDATE approvals_request SET state = 'expired' WHERE id = %s", row.pk, match="has not passed")


def test_executes_nothing_twice(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE approvals_request SET state = 'consumed' WHERE id = %s", [row.pk])
    for state in State:
        statement = "UPDATE approvals_request SET state = %s WHERE id = %s"
        refused(statement, state.value, row.pk, match="does not go from")


def test_executes_nothing_whose_approver_is_suspended(
    row: ApprovalRequest, staff: Staff, now: datetime
) -> None:
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    Identity.objects.filter(pk=staff.cy.identity.pk).update(is_active=False)
    refused("UPDATE approvals_request SET state = 'consumed' WHERE id = %s", row.pk, match="quorum")


def test_executes_nothing_whose_maker_is_suspended(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    Identity.objects.filter(pk=row.maker_id).update(is_active=False)
    consume = "UPDATE approvals_request SET state = 'consumed' WHERE id = %s"
    refused(consume, row.pk, match="maker is suspended")
    as_owner(consume, row.pk, match="maker is suspended")
    Identity.objects.filter(pk=row.maker_id).update(is_active=True)
    with connection.cursor() as cursor:
        cursor.execute(consume, [row.pk])


def test_lets_nobody_in_on_their_own_account(staff: Staff, now: datetime) -> None:
    """By the payload: for who signed before it was known, for who signs, and for who asks."""
    tom = Identity.objects.create(kind="customer", email="tom@example.com", display_name="Tom")
    row, other = (ask(maker=staff.ana, actor=staff.ana.actor, now=now, customer=str(tom.pk)) for _ in "12")
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    declare = (
        "INSERT INTO access_own_account (id, found_by, recorded_at, customer_id, officer_id)"
        " VALUES (gen_random_uuid(), 'declared', now(), %s, %s)"
    )
    with connection.cursor() as cursor:
        for officer in (staff.ben, staff.ana):
            cursor.execute(declare, [tom.pk, officer.identity.pk])
    refused("UPDATE approvals_request SET state = 'consumed' WHERE id = %s", row.pk, match="of their own")
    sql, values = signature_sql(staff.ben, other)
    refused(sql, *values, match="officer's own account")
    as_owner(sql, *values, match="officer's own account")
    again = (
        "INSERT INTO approvals_request (id, kind, deployment, payload, nonce, maker_id, subject, teams,"
        " rejections_needed, agreeing, state, approve_within, execute_within, policy_version, rule, floor,"
        " facts) SELECT gen_random_uuid(), kind, deployment, payload, sha256('n'), maker_id, 'x', teams, 1,"
        " agreeing, 'open', approve_within, execute_within, policy_version, rule, floor, facts"
        " FROM approvals_request LIMIT 1"
    )
    refused(again, match="maker's own account")
    refused("UPDATE access_own_account SET officer_id = customer_id", match=DENIED)
    refused("DELETE FROM access_own_account", match=DENIED)
    as_owner("DELETE FROM access_own_account", match="append-only")
    refused(declare, staff.ana.identity.pk, staff.ben.identity.pk, match="account as a customer")


@pytest.mark.parametrize("column", ["state", "teams", "nonce", "approve_within", "maker_id"])
def test_inserts_no_request_that_is_better_off(row: ApprovalRequest, staff: Staff, column: str) -> None:
    values = {
        "id": uuid4(),
        "kind": "test.payment",
        "deployment": "test",
        "payload": b"{}",
        "nonce": uuid4().bytes * 2,
        "maker_id": staff.ana.identity.pk,
        "subject": "s",
        "teams": '{"treasury": 2}',
        "rejections_needed": 1,
        "agreeing": "approve",
        "policy_version": 1,
        "rule": "",
        "floor": "{}",
        "facts": "{}",
        "state": "open",
        "approve_within": timedelta(hours=1),
        "execute_within": timedelta(hours=1),
    }
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    worse = {
        "state": "approved",
        "teams": '{"treasury": 0}',
        "nonce": b"short",
        "approve_within": timedelta(days=8),
        "maker_id": uuid4(),
    }
    sql = f"INSERT INTO approvals_request ({names}) VALUES ({places})"
    expected = {
        "state": "begins open",
        "teams": "at least one person",
        "nonce": "32 bytes",
        "approve_within": "request_windows_bounded",
        "maker_id": "no active officer",
    }
    refused(sql, *(values | {column: worse[column]}).values(), match=expected[column])
    with connection.cursor() as cursor:
        cursor.execute(sql, list(values.values()))


def test_backdates_nothing(row: ApprovalRequest, staff: Staff) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO approvals_request (id, kind, deployment, payload, nonce, maker_id, subject, teams,"
            " rejections_needed, agreeing, state, approve_within, execute_within, opened_at, approve_by,"
            " execute_by, policy_version, rule, floor, facts)"
            " SELECT gen_random_uuid(), kind, deployment, payload, sha256('n'), maker_id, 'x', teams, 1,"
            " agreeing, 'open', approve_within, execute_within, now() + interval '1 day',"
            " now() + interval '9 days', 'infinity', policy_version, rule, floor, facts"
            " FROM approvals_request RETURNING approve_by < now() + interval '61 minutes',"
            " execute_by < now() + interval '121 minutes'"
        )
        assert cursor.fetchone() == (True, True)


def test_signs_for_nobody_else(row: ApprovalRequest, staff: Staff) -> None:
    sql, values = signature_sql(staff.ben, row, officer_id=staff.cy.identity.pk)
    refused(sql, *values, match="not one of the officer")


def test_signs_not_as_the_maker(row: ApprovalRequest, staff: Staff) -> None:
    sql, values = signature_sql(staff.ana, row)
    refused(sql, *values, match="signature_never_maker")
    sql, values = signature_sql(staff.ana, row, maker_id=staff.ben.identity.pk)
    refused(sql, *values, match="signature_of_this_payload")


def test_signs_no_other_payload(row: ApprovalRequest, staff: Staff) -> None:
    sql, values = signature_sql(staff.ben, row, digest=b"\0" * 32)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    refused(sql, *values, match="signature_of_this_payload")


def test_that_forges_signatures_gets_nothing_done(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    """The database cannot check a passkey's signature; whoever acts upon the approval checks it again."""
    with connection.cursor() as cursor:
        for officer in (staff.ben, staff.cy):
            cursor.execute(*signature_sql(officer, row))
        cursor.execute("UPDATE approvals_request SET state = 'approved' WHERE id = %s", [row.pk])
    with pytest.raises(NotApproved):
        act(request=row, actor=staff.sam.actor, now=now)


def test_puts_no_table_of_its_own_in_the_way(row: ApprovalRequest) -> None:
    forged = (
        "CREATE TEMPORARY TABLE approvals_signature"
        " (request_id uuid, officer_id uuid, digest bytea, verb text, teams text[])"
    )
    refused(forged, match=DENIED)
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute(forged)
        cursor.execute(
            "INSERT INTO pg_temp.approvals_signature"
            " SELECT %s, id, %s, 'approve', '{treasury}' FROM access_identity WHERE kind = 'officer'",
            [row.pk, bytes(row.digest)],
        )
    refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="quorum")
    with connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION approvals_quorum_met(uuid) RESET search_path")
        cursor.execute("SELECT approvals_quorum_met(%s)", [row.pk])
        assert cursor.fetchone() == (True,), "so the fixed search path is what refused it"


def test_signs_once(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    sign(staff.ben, row, now)
    sql, values = signature_sql(staff.ben, row)
    refused(sql, *values, match="signature_person_once")


def test_uses_no_assertion_twice(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    sign(staff.ben, row, now)
    held = ApprovalSignature.objects.get()
    sql, values = signature_sql(
        staff.cy,
        row,
        authenticator_data=bytes(held.authenticator_data),
        client_data=bytes(held.client_data),
        signature=bytes(held.signature),
    )
    refused(sql, *values, match="assertion")


def test_signs_nothing_that_is_decided(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    sign(staff.ben, row, now, "reject")
    sql, values = signature_sql(staff.cy, row)
    refused(sql, *values, match="not open")


def test_signs_nothing_after_the_deadline_even_in_an_old_transaction(staff: Staff, now: datetime) -> None:
    row = hurried(ask)(maker=staff.ana, actor=staff.ana.actor, now=now)
    sql, values = signature_sql(staff.ben, row)
    with connection.cursor() as cursor:
        # The transaction began before the deadline, so now() still lies before it; the clock does not.
        cursor.execute("SELECT now() < approve_by FROM approvals_request WHERE id = %s", [row.pk])
        assert cursor.fetchone() == (True,)
    refused(sql, *values, match="not open")


def test_rejects_nothing_without_a_reason(row: ApprovalRequest, staff: Staff) -> None:
    sql, values = signature_sql(staff.ben, row, verb="reject", reason=" \n")
    refused(sql, *values, match="signature_rejection_reasoned")


def test_answers_by_no_verb_that_the_request_does_not_take(row: ApprovalRequest, staff: Staff) -> None:
    sql, values = signature_sql(staff.ben, row, verb="release")
    refused(sql, *values, match="answered by approve or reject")


def test_silences_no_trigger(row: ApprovalRequest) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal"
            " AND tgrelid::regclass::text LIKE ANY (ARRAY['approvals_%', 'access_%', 'freezes_%'])"
        )
        triggers = dict(cursor.fetchall())
        assert len(triggers) >= 19
        assert set(triggers.values()) == {"A"}
        refused("SET LOCAL session_replication_role = replica", match=DENIED)
        cursor.execute("RESET ROLE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="quorum")
        refused("DELETE FROM approvals_request", match="keeps its rows")


def publish(version: int, document: bytes = b"{}", request: object = None) -> tuple[str, list[object]]:
    sql = "INSERT INTO approvals_policy (version, document, request_id, published_at)"
    return sql + " VALUES (%s, %s, %s, now())", [version, document, request]


def test_publishes_no_policy_that_its_quorum_did_not_approve(row: ApprovalRequest) -> None:
    for version, request in ((2, None), (2, row.pk), (3, row.pk), (1, None)):
        sql, values = publish(version, request=request)
        refused(sql, *values, match="no approved request|versions follow")
    for change in ("document = '{}'", "published_at = now()"):
        refused(f"UPDATE approvals_policy SET {change}", match=DENIED)
        as_owner(f"UPDATE approvals_policy SET {change}", match="append-only")
    refused("DELETE FROM approvals_policy", match=DENIED)
    as_owner("DELETE FROM approvals_policy", match="append-only")


def test_knows_the_same_steps_as_the_code() -> None:
    listed = set(re.findall(r"\('(\w+)', '(\w+)'\)", guards.MOVING))
    assert listed == {(state.value, then.value) for state, nexts in NEXT.items() for then in nexts}
