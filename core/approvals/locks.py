"""Claiming a request: the row lock that every step of it begins with, and those of whom it counts."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from core.access.models import Identity
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


def people(row: ApprovalRequest, *, answering: UUID | None) -> None:
    """Hold still who asked, who has answered and who is answering, until the action ends.

    So whoever suspends one of them waits until what they agreed to has happened, or was first, and then they
    count no more. Else an act could follow a suspension that everybody has seen.
    """
    counted = Q(pk__in=[row.maker_id, answering]) | Q(pk__in=row.signatures.values("officer"))
    list(Identity.objects.select_for_update(no_key=True).filter(counted).order_by("pk").values_list("pk"))
