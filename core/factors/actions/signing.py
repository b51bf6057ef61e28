"""Registering a passkey for the approver host: invited here, made on that host's own page, proposed here.

The console is on the way and cannot be believed: it could hand in another key than the officer's. So the page
shows the key's fingerprint, and so do the approver pages of those who agree to it, and the order that brings
it to the signers. Nothing here makes a passkey count.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from core import audit
from core.access import rights
from core.access.models import Identity, OfficerCredential
from core.action import action
from core.actor import Actor
from core.approvals.expiry import DatabaseClock
from core.approvals.models import ApprovalRequest
from core.factors import attestation
from core.factors.actions.registering import KnownAlready, NotRegistered
from core.factors.events import Event
from core.factors.models import Registration
from core.refusals import NotAllowed, NotFound
from core.staff.actions import propose_change
from core.staff.domain import changes
from kernel import registration
from kernel.approval import NONCE_BYTES

LABEL_MAX: Final = 80
REASON_MAX: Final = 500


@action(Event.INVITED)
def invite_signing(*, label: str, reason: str, actor: Actor, now: datetime) -> Registration:
    """An invitation to the approver host's registration page, for fifteen minutes and one passkey."""
    officer = _officer(actor)
    target = f"access.identity/{officer.pk}"
    label, reason = label.strip(), reason.strip()
    if not 0 < len(label) <= LABEL_MAX:
        raise NotRegistered(
            "Nothing was begun: give it a short name, by which you tell it from others.", target=target
        )
    if not 0 < len(reason) <= REASON_MAX:
        raise NotRegistered("Nothing was begun: say why you need it.", target=target)
    row = Registration(officer=officer, nonce=secrets.token_bytes(NONCE_BYTES), label=label, reason=reason)
    row.save(force_insert=True)
    audit.record(
        Event.INVITED, row, actor=actor, now=now, after={"person": officer.pk, "label": label}, reason=reason
    )
    return row


@action(Event.REGISTERED)
def propose_signing(
    *, registration_id: UUID, client_data: str, attestation_object: str, actor: Actor, now: datetime
) -> ApprovalRequest:
    """Record the passkey that answers the invitation, and put exactly this key before two others.

    Its challenge commits to deployment, officer and invitation; it was made on the approver's origin, for its
    relying party, by an authenticator that verified its user. An invitation is answered once: what was made
    for another one, or by another officer, is refused.
    """
    officer = _officer(actor)
    target = f"factors.registration/{registration_id}"
    row = Registration.objects.select_for_update().filter(pk=registration_id, officer=officer).first()
    if row is None:
        raise NotFound("There is no such invitation of yours.", target=target)
    open_now = Registration.objects.filter(pk=row.pk, answered_at=None, expires_at__gt=DatabaseClock())
    if not open_now.exists():
        raise NotRegistered(
            "Nothing was registered: the invitation was used or is too old. Begin again.", target=target
        )
    found = attestation.read(
        client_data=client_data,
        attestation_object=attestation_object,
        challenge=registration.challenge(
            deployment=settings.DEPLOYMENT, officer=str(officer.pk), nonce=bytes(row.nonce)
        ),
        origin=settings.APPROVER_ORIGIN,
        rp_id=settings.APPROVER_RP_ID,
        models=settings.PASSKEY_AAGUIDS,
        roots=settings.PASSKEY_ROOTS,
    )
    same = {"credential_id": found.credential_id}, {"public_key": found.public_key}
    if any(OfficerCredential.objects.filter(**key).exists() for key in same):
        raise KnownAlready("Nothing was registered: this passkey is known already.", target=target)
    change = changes.AddPasskey(
        officer.pk, found.credential_id, found.public_key, row.label, found.aaguid, found.attestation
    )
    request = propose_change(change=change, reason=row.reason, actor=actor, now=now)
    Registration.objects.filter(pk=row.pk, answered_at=None).update(
        answered_at=DatabaseClock(),
        credential_id=found.credential_id,
        public_key=found.public_key,
        aaguid=found.aaguid,
        attestation=found.attestation,
        attestation_object=found.attestation_object,
        client_data=found.client_data,
        request=request,
    )
    audit.record(
        Event.REGISTERED,
        row,
        actor=actor,
        now=now,
        after={
            "person": officer.pk,
            "fingerprint": registration.fingerprint(bytes.fromhex(found.public_key)),
            "aaguid": found.aaguid,
            "attestation": found.attestation,
            "request": request.pk,
        },
        reason=row.reason,
    )
    return request


def _officer(actor: Actor) -> Identity:
    officer = rights.officer_behind(actor)
    if officer is None:
        raise NotAllowed("Only officers have passkeys with which they sign.")
    return officer
