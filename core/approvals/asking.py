"""Whether a request's maker has signed that they ask for it. Before, it is a draft that nobody answers."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from core.approvals import kinds
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.statements import is_genuine
from kernel.approval import Verb


def is_draft(request: ApprovalRequest) -> bool:
    """Whether its kind wants the maker's own signature, and there is none in force."""
    return request.pk in drafts([request])


def drafts(requests: Sequence[ApprovalRequest]) -> set[UUID]:
    """Those of these that are drafts, in one question to the database.

    A passkey that was revoked since may have been in a thief's hand: what it asked for is not asked for.
    """
    wanting = {request.pk: request for request in requests if kinds.named(request.kind).asks}
    rows = ApprovalSignature.objects.filter(
        request__in=wanting, verb=Verb.ASK, credential__revoked_at=None
    ).select_related("credential")
    asked = {
        row.request_id
        for row in rows
        if row.officer_id == wanting[row.request_id].maker_id and is_genuine(wanting[row.request_id], row)
    }
    return wanting.keys() - asked
