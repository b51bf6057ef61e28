"""Claiming a request: the row lock that every step of it begins with."""

from __future__ import annotations

from uuid import UUID

from core.approvals.models import ApprovalRequest
from core.refusals import NotFound


def request(request_id: UUID) -> ApprovalRequest:
    """The request, locked until the action ends; NotFound.

    NO KEY: the foreign keys of new signatures do not collide with it. Two signers queue behind each other,
    so that the second one sees the first one's signature.
    """
    row = ApprovalRequest.objects.select_for_update(no_key=True).filter(pk=request_id).first()
    if row is None:
        raise NotFound(
            "There is no such request for approval.", target=f"approvals.approvalrequest/{request_id}"
        )
    return row
