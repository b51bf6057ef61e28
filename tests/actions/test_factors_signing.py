"""A new passkey for the approver host …"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import DateTimeField, Value

from core import clock
from core.access.models import OfficerCredential
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.factors import queries
from core.factors.actions import invite_signing, propose_signing, signing
from core.factors.actions.registering import KnownAlready, NotRegistered
from core.factors.attestation import BadRegistration, UnknownModel
from core.factors.models import Registration
from core.refusals import NotAllowed, NotFound
from fixtures.authenticator import AAGUID, Authenticator
from kernel import canonical, registration
from tests.officers import Officer, Staff
from tests.treasury import ROBOT

pytestmark = pytest.mark.django_db


def invited(officer: Officer) -> Registration:
    return invite_signing(label="blue key", reason="a spare", actor=officer.actor, now=clock.now())


def made(row: Registration, key: Authenticator, **how: Any) -> dict[str, str]:
    """What the approver's page would bring back, unless something is otherwise."""
    challenge = registration.challenge(
        deployment=how.pop("deployment", settings.DEPLOYMENT),
        officer=how.pop("officer", str(row.officer_id)),
        nonce=how.pop("nonce", bytes(row.nonce)),
    )
    where = {"origin": settings.APPROVER_ORIGIN, "rp_id": settings.APPROVER_RP_ID}
    return key.registration(challenge, **{**where, **how})


def propose(officer: Officer, row: Registration, answer: dict[str, str]) -> ApprovalRequest:
    return propose_signing(registration_id=row.pk, actor=officer.actor, now=clock.now(), **answer)


def test_is_put_before_two_others_as_it_was_made_and_recorded_with_its_attestation(staff: Staff) -> None:
    key, row = Authenticator(), invited(staff.ben)
    request = propose(staff.ben, row, made(row, key))
    row.refresh_from_db()
    assert (row.public_key, row.aaguid, row.attestation) == (key.public_key_hex, str(AAGUID), "packed")
    assert bytes(row.attestation_object)
    assert (row.request, row.answered_at is not None) == (request, True)
    payload = canonical.decode_object(bytes(request.payload))
    said = {name: payload[name] for name in ("v", "public_key", "aaguid", "attestation", "label", "reason")}
    assert said == {
        "v": 2,
        "public_key": key.public_key_hex,
        "aaguid": str(AAGUID),
        "attestation": "packed",
        "label": "blue key",
        "reason": "a spare",
    }
    newest = AuditEvent.objects.order_by("-id")[0].doc
    assert newest["action"] == "factors.signing.registered"
    assert newest["after"]["fingerprint"] == registration.fingerprint(bytes.fromhex(key.public_key_hex))
    assert not OfficerCredential.objects.filter(credential_id=key.credential_id).exists()
    for officer in (staff.ana, staff.cy):
        signed = officer.answer(request)
        submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=clock.now())
    assert OfficerCredential.objects.get(credential_id=key.credential_id).officer == staff.ben.identity


@pytest.mark.parametrize(
    "how",
    [
        {"flags": 0x01},
        {"origin": "http://console.localhost:8000"},
        {"rp_id": "console.localhost"},
        {"deployment": "production"},
        {"officer": "01900000-0000-7000-8000-0000000000ff"},
        {"nonce": bytes(32)},
    ],
    ids=["nobody verified", "another page", "another rp", "another deployment", "another officer", "another"],
)
def test_is_none_that_was_made_elsewhere_or_for_something_else(staff: Staff, how: dict[str, Any]) -> None:
    row = invited(staff.ben)
    before = AuditEvent.objects.count()
    with pytest.raises(BadRegistration):
        propose(staff.ben, row, made(row, Authenticator(), **how))
    assert AuditEvent.objects.count() == before + 1
    row.refresh_from_db()
    assert (row.answered_at, ApprovalRequest.objects.count()) == (None, 0)


def test_is_proposed_once_for_one_invitation_and_for_no_other(staff: Staff) -> None:
    row, other = invited(staff.ben), invited(staff.ben)
    answer = made(row, Authenticator())
    with pytest.raises(BadRegistration):
        propose(staff.ben, other, answer)
    propose(staff.ben, row, answer)
    for again in (answer, made(row, Authenticator())):
        with pytest.raises(NotRegistered):
            propose(staff.ben, row, again)
    assert ApprovalRequest.objects.count() == 1


def test_is_nobody_elses_to_propose_or_to_see(staff: Staff) -> None:
    row = invited(staff.ben)
    with pytest.raises(NotFound):
        propose(staff.cy, row, made(row, Authenticator()))
    with pytest.raises(NotFound):
        queries.registration_for(row.pk, officer=staff.cy.identity)
    with pytest.raises(NotAllowed):
        invite_signing(label="x", reason="x", actor=ROBOT, now=clock.now())
    for label, reason in (("", "a spare"), ("blue key", " "), ("x" * 81, "a spare")):
        with pytest.raises(NotRegistered):
            invite_signing(label=label, reason=reason, actor=staff.ben.actor, now=clock.now())


def test_is_none_that_signs_already_and_of_a_model_that_is_admitted(staff: Staff, settings: Any) -> None:
    row = invited(staff.ben)
    with pytest.raises(KnownAlready):
        propose(staff.ben, row, made(row, staff.ana.passkey))
    settings.PASSKEY_AAGUIDS = frozenset({"cb69481e-8ff7-4039-93ec-0a2729a154a8"})
    with pytest.raises(UnknownModel):
        propose(staff.ben, row, made(row, Authenticator()))


def test_comes_within_its_quarter_of_an_hour_by_the_databases_clock(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = invited(staff.ben)
    assert row.made_at is not None
    assert row.expires_at == row.made_at + timedelta(minutes=15)
    over = Value(row.expires_at, output_field=DateTimeField())
    monkeypatch.setattr(signing, "DatabaseClock", lambda: over)
    with pytest.raises(NotRegistered, match="too old"):
        propose(staff.ben, row, made(row, Authenticator()))


def test_is_what_it_was_whatever_sql_says(staff: Staff) -> None:
    row = invited(staff.ben)
    propose(staff.ben, row, made(row, Authenticator()))
    changes = (
        "UPDATE factors_registration SET public_key = '04' || repeat('1', 128)",
        "UPDATE factors_registration SET answered_at = NULL",
        "UPDATE factors_registration SET nonce = sha256('')",
        "UPDATE factors_registration SET expires_at = now() + interval '1 day'",
        "DELETE FROM factors_registration",
    )
    for change in changes:
        with (
            pytest.raises(DatabaseError, match=r"answered once|keeps"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(change)
