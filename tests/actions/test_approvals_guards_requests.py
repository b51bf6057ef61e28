"""Raw SQL against a request for approval, sent by the application's own role …"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection

from core import approvals
from core.access.models import Identity, OfficerCredential
from core.approvals import guards
from core.approvals.domain.requests import NEXT, State
from core.approvals.models import ApprovalRequest
from tests.approvals import ask, overdue, sign
from tests.officers import Staff
from tests.policies import enact, rule
from tests.sql import DENIED, as_owner, refused, signature_sql

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_console")]


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
        "was_for_lane = true",
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


def test_changes_no_digest(row: ApprovalRequest) -> None:
    refused("UPDATE approvals_request SET digest = sha256('x')", match="can only be updated to DEFAULT")


def test_changes_no_maker(row: ApprovalRequest, staff: Staff) -> None:
    statement = "UPDATE approvals_request SET maker_id = %s WHERE id = %s"
    refused(statement, staff.ben.identity.pk, row.pk, match=DENIED)
    as_owner(statement, staff.ben.identity.pk, row.pk, match="keeps every column")


def test_approves_nothing_with_too_few(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="quorum")
    sign(staff.ben, row, now)
    refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="quorum")


def test_seats_nobody_twice_who_stands_in_two_teams(
    kind: approvals.Kind, staff: Staff, now: datetime
) -> None:
    """Whatever teams the row of a signature claims: it is one person, and fills one seat."""
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now, teams={"treasury": 1, "compliance": 1})
    approve = "UPDATE approvals_request SET state = 'approved' WHERE id = %s"
    with connection.cursor() as cursor:
        cursor.execute(*signature_sql(staff.ben, row, teams=["treasury", "compliance"]))
    refused(approve, row.pk, match="quorum")
    with connection.cursor() as cursor:
        cursor.execute(*signature_sql(staff.cy, row, teams=["treasury"]))
        cursor.execute(approve, [row.pk])


def test_rejects_nothing_with_too_few(kind: approvals.Kind, staff: Staff, now: datetime) -> None:
    enact(staff, now, [rule("two say no", ["kind", "is", "test.payment"], rejections=2)])
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    reject = "UPDATE approvals_request SET state = 'rejected' WHERE id = %s"
    for officer in (staff.ben, staff.cy):
        refused(reject, row.pk, match="too few")
        with connection.cursor() as cursor:
            cursor.execute(*signature_sql(officer, row, verb="reject", reason="because"))
    with connection.cursor() as cursor:
        cursor.execute(reject, [row.pk])


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


def test_approves_nothing_that_enough_have_rejected(row: ApprovalRequest, staff: Staff) -> None:
    """Who writes SQL need not move the request when the rejection comes, but cannot move it past that."""
    with connection.cursor() as cursor:
        for officer in (staff.ben, staff.cy):
            cursor.execute(*signature_sql(officer, row))
        cursor.execute(*signature_sql(staff.dot, row, verb="reject", reason="because"))
    refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="quorum")


def test_approves_nothing_after_its_deadline(row: ApprovalRequest, staff: Staff) -> None:
    with connection.cursor() as cursor:
        for officer in (staff.ben, staff.cy):
            cursor.execute(*signature_sql(officer, row))
    overdue(row, "approve_by")
    refused("UPDATE approvals_request SET state = 'approved' WHERE id = %s", row.pk, match="deadline")


def test_executes_nothing_after_its_deadline(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    overdue(row, "execute_by")
    refused("UPDATE approvals_request SET state = 'consumed' WHERE id = %s", row.pk, match="deadline")


def test_executes_nothing_whose_approver_is_suspended(
    row: ApprovalRequest, staff: Staff, now: datetime
) -> None:
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    Identity.objects.filter(pk=staff.cy.identity.pk).update(is_active=False)
    refused("UPDATE approvals_request SET state = 'consumed' WHERE id = %s", row.pk, match="quorum")


def test_executes_nothing_that_a_passkey_approved_which_was_revoked_since(
    row: ApprovalRequest, staff: Staff, now: datetime
) -> None:
    """Whoever stole it signed, and its owner finds out before anything has happened."""
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    OfficerCredential.objects.filter(officer=staff.cy.identity).update(revoked_at=now)
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
        "facts": f'{{"kind": "test.payment", "maker": "{staff.ana.identity.pk}"}}',
        "was_for_lane": False,
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
            " execute_by, policy_version, rule, floor, facts, was_for_lane)"
            " SELECT gen_random_uuid(), kind, deployment, payload, sha256('n'), maker_id, 'x', teams, 1,"
            " agreeing, 'open', approve_within, execute_within, now() + interval '1 day',"
            " now() + interval '9 days', 'infinity', policy_version, rule, floor, facts, was_for_lane"
            " FROM approvals_request RETURNING approve_by < now() + interval '61 minutes',"
            " execute_by < now() + interval '121 minutes'"
        )
        assert cursor.fetchone() == (True, True)


def test_knows_the_same_steps_as_the_code() -> None:
    listed = set(re.findall(r"\('(\w+)', '(\w+)'\)", guards.MOVING))
    assert listed == {(state.value, then.value) for state, nexts in NEXT.items() for then in nexts}
