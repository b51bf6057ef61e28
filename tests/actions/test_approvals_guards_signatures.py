"""Raw SQL that signs, sent by the application's own role …"""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import connection

from core.access.models import Identity, OfficerCredential
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.opening import NotApproved
from tests.approvals import act, ask, hurried, sign
from tests.officers import Staff
from tests.sql import DENIED, as_owner, refused, signature_sql

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_console")]


def test_rewrites_no_signature(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    sign(staff.ben, row, now)
    statement = "UPDATE approvals_signature SET verb = 'reject', reason = 'x'"
    refused(statement, match=DENIED)
    as_owner(statement, match="append-only")


def test_signs_for_nobody_else(row: ApprovalRequest, staff: Staff) -> None:
    sql, values = signature_sql(staff.ben, row, officer_id=staff.cy.identity.pk)
    refused(sql, *values, match="not one of the officer")


def test_signs_with_no_passkey_that_was_revoked(row: ApprovalRequest, staff: Staff, now: datetime) -> None:
    OfficerCredential.objects.filter(officer=staff.ben.identity).update(revoked_at=now)
    sql, values = signature_sql(staff.ben, row)
    refused(sql, *values, match="not one of the officer")


def test_signs_for_nobody_who_is_suspended(row: ApprovalRequest, staff: Staff) -> None:
    """Nor a rejection: those are counted without another look at the person."""
    Identity.objects.filter(pk=staff.ben.identity.pk).update(is_active=False)
    for changes in ({}, {"verb": "reject", "reason": "because"}):
        sql, values = signature_sql(staff.ben, row, **changes)
        refused(sql, *values, match="only an active officer")


def test_signs_not_as_the_maker(row: ApprovalRequest, staff: Staff) -> None:
    sql, values = signature_sql(staff.ana, row)
    refused(sql, *values, match="signature_maker_only_asks")
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
    sign(staff.ben, row, now, "reject", "because")
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
