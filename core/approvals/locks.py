"""Claiming a request: the row lock that every step of it begins with, who it counts, and with which key."""

from __future__ import annotations

from uuid import UUID

from core import endings
from core.access.models import Identity, OfficerCredential
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


def passkey(credential_id: str, *, of: Identity) -> OfficerCredential | None:
    """This person's passkey, if it is enrolled and stands, locked: two answers by it are counted in turn."""
    rows = OfficerCredential.objects.select_for_update(no_key=True)
    return rows.filter(credential_id=credential_id, officer=of, revoked_at=None).first()


def concerned(*, request_id: UUID, **_: object) -> endings.People:
    """Whose rights an answer to this request may end, and whose word it counts, before anything is locked.

    A change of the staff is about the person who is its subject, and neither that nor its maker ever changes.
    """
    row = ApprovalRequest.objects.filter(pk=request_id).first()
    if row is None:
        return endings.NOBODY
    about = row.subject.removeprefix("access.identity/")
    ending = frozenset({UUID(about)}) if about != row.subject else frozenset[UUID]()
    return endings.People(ending=ending, counted=_counted(row))


def people(row: ApprovalRequest) -> None:
    """Hold still who asked and who has answered by now, until the action ends.

    So whoever ends a right of one of them waits until what they agreed to has happened, or was first, and
    then they count no more. Else an act could follow a suspension that everybody has seen.
    """
    endings.hold_still(_counted(row))


def _counted(row: ApprovalRequest) -> frozenset[UUID]:
    return frozenset({row.maker_id, *row.signatures.values_list("officer", flat=True)})
