"""Whether an answer was given by an officer's own enrolled passkey, on the approver's page."""

from __future__ import annotations

from django.conf import settings

from core import action
from core.access.models import Identity, OfficerCredential
from core.approvals import kinds, locks, moving
from core.approvals.models import ApprovalRequest
from core.approvals.signed import Signed
from core.approvals.statements import statement
from core.refusals import NotAllowed, Refused
from kernel import confirmation, webauthn
from kernel.approval import Statement, Verb


class UnknownCredential(NotAllowed):
    """The passkey is not enrolled for this officer, or was revoked."""

    code = "approval.unknown_credential"


class BadSignature(NotAllowed):
    """The assertion does not sign this verb on this request; the sentence holds the kernel's code."""

    code = "approval.bad_signature"


class CounterWentBack(NotAllowed):
    """The authenticator counted lower than before: there may be a copy of it."""

    code = "approval.counter"


class Unconfirmed(Refused):
    """So much is approved only with a second signature, by the officer's offline decoder."""

    code = "approval.unconfirmed"
    status = 422


class BadConfirmation(NotAllowed):
    """The decoder signed something else than the passkey: one of the two was shown another request."""

    code = "approval.bad_confirmation"


def verified(said: Statement, *, officer: Identity, signed: Signed, target: str) -> OfficerCredential:
    """The officer's passkey that signed exactly this statement; its counter is remembered in the open action.

    A refusal for everything else: nobody's answer can be moved to another statement, officer or deployment.
    """
    action.current()
    credential = locks.passkey(signed.credential_id, of=officer)
    if credential is None:
        raise UnknownCredential("This passkey is not enrolled for you.", target=target)
    try:
        count = webauthn.verify(
            signed.assertion,
            public_key=bytes.fromhex(credential.public_key),
            challenge=said.challenge(),
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


def confirmed(request: ApprovalRequest, *, officer: Identity, signed: Signed) -> None:
    """Nothing, if the answer needs no confirmation or has the right one. Signers look for themselves."""
    key = kinds.named(request.kind).confirms(request, officer)
    if key is None or signed.verb is Verb.REJECT:
        return
    if not key:
        raise Unconfirmed(
            "Nothing was recorded: so much is approved only with an offline decoder, and the signers' "
            "registry names none of yours. Treasury can have it enrolled.",
            target=moving.target(request),
        )
    if not signed.confirmation:
        raise Unconfirmed(
            "Nothing was recorded: so much is also confirmed on your offline decoder. Open the approver page "
            "again and have the decoder read its QR code.",
            target=moving.target(request),
        )
    try:
        confirmation.verify(signed.confirmation, statement=statement(request, signed.verb), key=key)
    except confirmation.BadConfirmation as error:
        raise BadConfirmation(
            f"Nothing was recorded: {error}. Compare the digests, and tell the security officer on duty.",
            target=moving.target(request),
        ) from error
