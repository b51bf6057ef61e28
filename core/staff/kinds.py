"""The staff's kinds of approval: one per change, all decided by two officers who are not concerned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core import clock
from core.access import rights
from core.access.models import Identity
from core.access.permissions import Permission
from core.access.roles import GRANTED_BY, Role
from core.approvals.kinds import Kind
from core.approvals.models import ApprovalRequest
from core.staff.applying import apply
from core.staff.domain import changes

_TITLES: Final[Mapping[type[changes.Change], str]] = {
    changes.Join: "Somebody joins",
    changes.GrantRole: "A role is granted",
    changes.EndRole: "A role ends",
    changes.Leave: "Somebody leaves",
    changes.Restore: "A suspension ends",
    changes.Rebind: "An account is bound anew",
    changes.AddPasskey: "A passkey is added",
    changes.RevokePasskey: "A passkey is revoked",
}


_FIXED: Final = "taking rights away must stay possible at any hour, for the same people"


def _concerned(request: ApprovalRequest, officer: Identity) -> str | None:
    if request.subject == f"access.identity/{officer.pk}":
        return "This is about yourself, so others must answer it."
    if request.subject == f"access.identity/{request.maker_id}" and request.kind == changes.GrantRole.kind:
        return _above_own_role(request, officer)
    return None


def _above_own_role(request: ApprovalRequest, officer: Identity) -> str | None:
    """Somebody asks for a role for themselves: whoever agrees to it grants it, and so must be able to."""
    change = changes.read(bytes(request.payload))
    given = {Role(role) for role in changes.roles_given(change)}
    held = rights.standing_roles_of(officer, clock.now())
    if all(held & GRANTED_BY[role] for role in given):
        return None
    return "Your own role does not grant this one; others must answer it."


KINDS: Final = tuple(
    Kind(
        name=change.kind,
        permission=Permission.APPROVE_STAFF,
        on_approved=apply,
        title=title,
        floor=changes.TEAMS,
        facts=change.tells,
        fixed=_FIXED if change in changes.LESS else "",
        conflict=_concerned,
    )
    for change, title in _TITLES.items()
)
