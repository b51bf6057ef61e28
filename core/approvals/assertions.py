"""Whether an answer was given by an officer's own enrolled passkey, on the approver's page."""

from __future__ import annotations

from django.conf import settings

from core import action
from core.access.models import Identity, OfficerCredential
from core.approvals.signed import Signed
from core.refusals import NotAllowed
from kernel import webauthn
from kernel.approval import Statement


class UnknownCredential(NotAllowed):
    """The passkey is not enrolled for this officer, or was revoked."""

    code = "approval.unknown_credential"


class BadSignature(NotAllowed):
    """The assertion does not sign this verb on this request; the sentence holds the kernel's code."""

    code = "approval.bad_signature"


class CounterWentBack(NotAllowed):
    """The authenticator counted lower than before: there may be a copy of it."""

    code = "approval.counter"


def verified(statement: Statement, *, officer: Identity, signed: Signed, target: str) -> OfficerCredential:
    """The officer's passkey that signed exactly this statement; its counter is remembered in the open action.

    A refusal for everything else: nobody's answer can be moved to another statement, officer or deployment.
    """
    action.current()
    credential = (
        OfficerCredential.objects.select_for_update(no_key=True)
        .filter(credential_id=signed.credential_id, officer=officer, revoked_at=None)
        .first()
    )
    if credential is None:
        raise UnknownCredential("This passkey is not enrolled for you.", target=target)
    try:
        count = webauthn.verify(
            signed.assertion,
            public_key=bytes.fromhex(credential.public_key),
            challenge=statement.challenge(),
            origin=settings.APPROVER_ORIGIN,
            rp_id=settings.APPROVER_RP_ID,
        )
    except webauthn.BadAssertion as error:
        raise BadSignature(
            f"Your passkey's answer was not accepted ({error.code}); open the approver page again.",
            target=target,
        ) from error
    if (count or credential.sign_count) and count <= credential.sign_count:
        raise CounterWentBack(
            "Your passkey counted backwards, so there may be a copy of it; have it replaced.", target=target
        )
    if count:
        OfficerCredential.objects.filter(pk=credential.pk).update(sign_count=count)
    return credential
