"""Raw SQL, sent by the application's own role …"""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import connection

from core.access.models import Identity
from core.approvals.models import ApprovalRequest
from tests.approvals import ask, sign
from tests.officers import Staff
from tests.policies import asked
from tests.sql import DENIED, as_owner, refused, signature_sql

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_console")]


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


@pytest.mark.parametrize("table", ["approvals_request", "approvals_signature"])
def test_removes_nothing(row: ApprovalRequest, staff: Staff, now: datetime, table: str) -> None:
    sign(staff.ben, row, now)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        refused(statement, match=DENIED)
        as_owner(statement, match="keeps its rows|append-only")


def test_lets_nobody_in_on_their_own_account(staff: Staff, now: datetime) -> None:
    """By the payload: for who signed before it was known, for who signs, and for who asks."""
    tom = Identity.objects.create(kind="customer", email="tom@example.com", display_name="Tom")
    row, other = (
        ask(maker=staff.ana, actor=staff.ana.actor, now=now, subject=subject, customer=str(tom.pk))
        for subject in ("test.payment/1", "test.payment/2")
    )
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


def test_puts_no_table_of_its_own_in_the_way(row: ApprovalRequest) -> None:
    forged = (
        "CREATE TEMPORARY TABLE approvals_signature"
        " (request_id uuid, officer_id uuid, credential_id uuid, digest bytea, verb text, teams text[])"
    )
    refused(forged, match=DENIED)
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute(forged)
        cursor.execute(
            "INSERT INTO pg_temp.approvals_signature"
            " SELECT %s, officer_id, id, %s, 'approve', '{treasury}' FROM access_officer_credential",
            [row.pk, bytes(row.digest)],
        )
    refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="quorum")
    with connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION approvals_quorum_met(uuid) RESET search_path")
        cursor.execute("SELECT approvals_quorum_met(%s)", [row.pk])
        assert cursor.fetchone() == (True,), "so the fixed search path is what refused it"


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


def test_publishes_no_other_document_than_its_quorum_approved(staff: Staff) -> None:
    request = asked(staff.ana, 2, b"A")
    with connection.cursor() as cursor:
        for officer, team in ((staff.ben, "treasury"), (staff.cy, "compliance")):
            cursor.execute(*signature_sql(officer, request, teams=[team]))
        for state in ("approved", "consumed"):
            cursor.execute("UPDATE approvals_request SET state = %s WHERE id = %s", [state, request.pk])
    sql, values = publish(2, b"B", request.pk)
    refused(sql, *values, match="no approved request")
    with connection.cursor() as cursor:
        cursor.execute(*publish(2, b"A", request.pk))


def test_publishes_no_policy_that_its_quorum_did_not_approve(row: ApprovalRequest) -> None:
    for version, request in ((2, None), (2, row.pk), (3, row.pk), (1, None)):
        sql, values = publish(version, request=request)
        refused(sql, *values, match="no approved request|versions follow")
    for change in ("document = '{}'", "published_at = now()"):
        refused(f"UPDATE approvals_policy SET {change}", match=DENIED)
        as_owner(f"UPDATE approvals_policy SET {change}", match="append-only")
    refused("DELETE FROM approvals_policy", match=DENIED)
    as_owner("DELETE FROM approvals_policy", match="append-only")
