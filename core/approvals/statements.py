"""What officers sign about a request, and whether a stored signature is one."""

from __future__ import annotations

import logging

from django.conf import settings

from core.approvals.models import ApprovalRequest, ApprovalSignature
from kernel import webauthn
from kernel.approval import Statement, Verb

log = logging.getLogger(__name__)


def statement(request: ApprovalRequest, verb: Verb) -> Statement:
    """What an officer signs who answers so."""
    return Statement(
        verb=verb,
        kind=request.kind,
        deployment=request.deployment,
        nonce=bytes(request.nonce),
        digest=bytes(request.digest),
    )


def is_genuine(request: ApprovalRequest, row: ApprovalSignature) -> bool:
    """Whether the stored assertion is by the officer's passkey over this very request and verb.

    It was so when it was taken in. Asking again means that a row put there by SQL counts for nothing.
    """
    try:
        webauthn.verify(
            webauthn.Assertion(
                authenticator_data=bytes(row.authenticator_data),
                client_data=bytes(row.client_data),
                signature=bytes(row.signature),
            ),
            public_key=bytes.fromhex(row.credential.public_key),
            challenge=statement(request, Verb(row.verb)).challenge(),
            origin=settings.APPROVER_ORIGIN,
            rp_id=settings.APPROVER_RP_ID,
        )
    except webauthn.BadAssertion as error:
        log.critical("signature %s of request %s is not genuine: %s", row.pk, request.pk, error.code)
        return False
    return row.credential.officer_id == row.officer_id
