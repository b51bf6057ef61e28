"""When officers answer it, a request for approval …"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.conf import settings

from core import approvals
from core.access.models import Identity, OfficerCredential, RoleGrant
from core.access.roles import Role
from core.approvals import assertions, haste, kinds
from core.approvals.actions import signatures as refusals
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.queries import signatures
from core.approvals.statements import statement
from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage
from core.refusals import Refused
from kernel.approval import SignedApproval, Verb
from kernel.webauthn import verify
from tests.approvals import DECIDED, act, ask, sign
from tests.officers import Staff
from tests.policies import enact, rule

pytestmark = pytest.mark.django_db


def events() -> list[str]:
    return [event.doc["action"] for event in AuditEvent.objects.order_by("id")]


def test_is_approved_by_two_others(
    staff: Staff, row: ApprovalRequest, kind: approvals.Kind, now: datetime
) -> None:
    assert sign(staff.ben, row, now).state == "open"
    before = len(events()), OutboxMessage.objects.count()
    assert sign(staff.cy, row, now).state == "approved"
    assert DECIDED == ["approved"]
    assert (len(events()), OutboxMessage.objects.count()) == (before[0] + 1, before[1] + 1)
    assert events()[-1] == "approvals.request.signed"


def test_hands_signers_what_the_officers_signed(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    given = [SignedApproval.from_json(entry) for entry in approvals.signatures(row)]
    assert [entry.officer for entry in given] == [str(staff.ben.identity.pk), str(staff.cy.identity.pk)]
    for entry, officer in zip(given, (staff.ben, staff.cy), strict=True):
        assert verify(
            entry.assertion,
            public_key=bytes.fromhex(officer.passkey.public_key_hex),
            challenge=statement(row, Verb.APPROVE).challenge(),
            origin=settings.APPROVER_ORIGIN,
            rp_id=settings.APPROVER_RP_ID,
        )


def test_is_rejected_by_one_with_a_reason(
    staff: Staff, row: ApprovalRequest, kind: approvals.Kind, now: datetime
) -> None:
    sign(staff.ben, row, now)
    assert sign(staff.cy, row, now, "reject", "wrong address").state == "rejected"
    assert DECIDED == ["rejected"]
    assert approvals.signatures(row) == approvals.signatures(ApprovalRequest.objects.get(pk=row.pk))
    with pytest.raises(refusals.NotOpen):
        sign(staff.ben, row, now)


@pytest.fixture
def two_say_no(kind: approvals.Kind, staff: Staff, now: datetime) -> ApprovalRequest:
    """Two have to reject it. Ben, who is the first of them, does; Eve checks as well."""
    RoleGrant.objects.create(identity=staff.eve.identity, role=Role.TREASURY_SIGNER, granted_at=now)
    enact(staff, now, [rule("two say no", teams={"treasury": 1}, rejections=2)])
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    assert (row.teams, row.rejections_needed) == ({"treasury": 2}, 2)
    assert sign(staff.ben, row, now, "reject", "wrong address").state == "open"
    return row


def test_is_rejected_by_as_many_as_its_rule_says(
    two_say_no: ApprovalRequest, staff: Staff, now: datetime
) -> None:
    assert sign(staff.cy, two_say_no, now).state == "open"
    assert sign(staff.eve, two_say_no, now, "reject", "wrong amount").state == "rejected"
    assert DECIDED == ["rejected"]


def test_is_approved_past_fewer_rejections_by_others_than_those(
    two_say_no: ApprovalRequest, staff: Staff, now: datetime
) -> None:
    assert sign(staff.cy, two_say_no, now).state == "open", "who said no fills no seat"
    assert sign(staff.eve, two_say_no, now).state == "approved"
    assert act(request=two_say_no, actor=staff.ana.actor, now=now).state == "consumed"


def test_waits_for_every_team(kind: approvals.Kind, staff: Staff, now: datetime) -> None:
    row = ask(maker=staff.sam, actor=staff.sam.actor, now=now, teams={"treasury": 1, "compliance": 1})
    RoleGrant.objects.create(identity=staff.eve.identity, role=Role.SENIOR_OFFICER, granted_at=now)
    assert sign(staff.ben, row, now).state == "open"
    with pytest.raises(refusals.NotInQuorum):
        sign(staff.dot, row, now)
    assert sign(staff.eve, row, now).state == "approved"


def test_counts_a_person_in_two_teams_once(kind: approvals.Kind, staff: Staff, now: datetime) -> None:
    RoleGrant.objects.create(identity=staff.ben.identity, role=Role.SENIOR_OFFICER, granted_at=now)
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now, teams={"treasury": 1, "compliance": 1})
    assert sign(staff.ben, row, now).state == "open"
    assert sign(staff.cy, row, now).state == "approved"


@pytest.mark.parametrize(
    ("who", "verb", "reason", "expected"),
    [
        ("ana", "approve", "", refusals.MakerCannotCheck),
        ("ana", "reject", "no", refusals.MakerCannotCheck),
        ("dot", "approve", "", refusals.NotInQuorum),
        ("eve", "approve", "", refusals.NotInQuorum),
        ("sam", "approve", "", refusals.NotInQuorum),
        ("ben", "reject", "", refusals.ReasonMissing),
        ("ben", "reject", "   ", refusals.ReasonMissing),
    ],
)
def test_refuses_an_answer_that_does_not_count(
    staff: Staff,
    kind: approvals.Kind,
    now: datetime,
    who: str,
    verb: str,
    reason: str,
    expected: type[Refused],
) -> None:
    RoleGrant.objects.create(identity=staff.ana.identity, role=Role.TREASURY_SIGNER, granted_at=now)
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    before, messages = events(), OutboxMessage.objects.count()
    with pytest.raises(expected):
        sign(getattr(staff, who), row, now, verb, reason)
    assert ApprovalSignature.objects.count() == 0
    assert events() == [*before, "approvals.request.signed.refused"]
    assert OutboxMessage.objects.count() == messages


def test_refuses_a_second_answer_of_the_same_person(
    staff: Staff, row: ApprovalRequest, now: datetime
) -> None:
    sign(staff.ben, row, now)
    with pytest.raises(refusals.SignedAlready):
        sign(staff.ben, row, now, "reject", "thought better of it")


def test_refuses_an_approval_replayed_as_a_rejection(
    staff: Staff, row: ApprovalRequest, now: datetime
) -> None:
    twisted = replace(staff.ben.answer(row, "reject", "no"), verb=Verb.APPROVE)
    with pytest.raises(assertions.BadSignature, match=r"assertion\.challenge"):
        submit_signature(request_id=row.pk, signed=twisted, actor=staff.ben.actor, now=now)


def test_refuses_an_approval_of_another_request(kind: approvals.Kind, staff: Staff, now: datetime) -> None:
    first = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    second = ask(maker=staff.ana, actor=staff.ana.actor, now=now, subject="test.payment/2")
    assert first.digest == second.digest
    with pytest.raises(assertions.BadSignature, match=r"assertion\.challenge"):
        submit_signature(request_id=second.pk, signed=staff.ben.answer(first), actor=staff.ben.actor, now=now)


def test_refuses_a_colleagues_passkey(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    with pytest.raises(assertions.UnknownCredential):
        submit_signature(request_id=row.pk, signed=staff.cy.answer(row), actor=staff.ben.actor, now=now)
    named = replace(staff.cy.answer(row), credential_id=staff.ben.passkey.credential_id)
    with pytest.raises(assertions.BadSignature, match=r"assertion\.signature"):
        submit_signature(request_id=row.pk, signed=named, actor=staff.ben.actor, now=now)


def test_refuses_a_revoked_passkey(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    OfficerCredential.objects.filter(officer=staff.ben.identity).update(revoked_at=now)
    with pytest.raises(assertions.UnknownCredential):
        sign(staff.ben, row, now)


def test_refuses_a_passkey_that_counts_backwards(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    OfficerCredential.objects.filter(officer=staff.ben.identity).update(sign_count=2**32)
    with pytest.raises(assertions.CounterWentBack):
        sign(staff.ben, row, now)


def test_refuses_an_answer_given_on_another_page(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    assertion = staff.ben.passkey.assertion(
        statement(row, Verb.APPROVE).challenge(),
        origin=settings.CONSOLE_ORIGIN,
        rp_id=settings.APPROVER_RP_ID,
    )
    signed = approvals.Signed(Verb.APPROVE, staff.ben.passkey.credential_id, assertion)
    with pytest.raises(assertions.BadSignature, match=r"assertion\.origin"):
        submit_signature(request_id=row.pk, signed=signed, actor=staff.ben.actor, now=now)


def test_refuses_the_suspended(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    Identity.objects.filter(pk=staff.ben.identity.pk).update(is_active=False)
    with pytest.raises(refusals.NotInQuorum):
        sign(staff.ben, row, now)


def test_refuses_whoever_has_an_interest(staff: Staff, kind: approvals.Kind, now: datetime) -> None:
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    object.__setattr__(kind, "conflict", lambda request, officer: "This pays your own account.")
    with pytest.raises(refusals.ConflictOfInterest, match="your own account"):
        sign(staff.ben, row, now)


def test_that_lets_go_is_answered_by_release_alone(
    staff: Staff, kind: approvals.Kind, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(kinds._registered, "test.payment", replace(kind, agreeing=Verb.RELEASE))
        row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    assert row.agreeing == "release"
    with pytest.raises(refusals.AnotherVerb):
        sign(staff.ben, row, now)
    assert sign(staff.ben, row, now, "release").state == "open"
    assert sign(staff.cy, row, now, "release").state == "approved"
    assert {one["verb"] for one in signatures(row)} == {"release"}


def test_that_does_something_is_not_answered_by_release(
    staff: Staff, row: ApprovalRequest, now: datetime
) -> None:
    with pytest.raises(refusals.AnotherVerb):
        sign(staff.ben, row, now, "release")
    assert not row.signatures.exists()


def test_says_in_the_log_when_two_answers_came_within_three_seconds(
    row: ApprovalRequest, staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The moments are the database's own, so the test makes the bound longer and shorter, not the wait.
    sign(staff.ben, row, now)
    monkeypatch.setattr(haste, "HASTE", timedelta(hours=1))
    sign(staff.cy, row, now)
    answers = list(row.signatures.order_by("signed_at"))
    assert haste.any_in_haste(answers)
    monkeypatch.setattr(haste, "HASTE", -timedelta(hours=1))
    assert not haste.any_in_haste(answers)
    signed = [
        event.doc for event in AuditEvent.objects.order_by("id") if event.doc["action"].endswith("signed")
    ]
    assert [event["after"]["in_haste"] for event in signed] == [False, True]
