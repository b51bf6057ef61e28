"""Reads of the staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.access import rights
from core.access.models import Identity, Kind, OfficerCredential, RoleGrant
from core.access.permissions import Permission
from core.refusals import NotFound


@dataclass(frozen=True, slots=True)
class Member:
    """One line of the staff screen: `roles` are those held now."""

    identity: Identity
    roles: tuple[str, ...]
    passkeys: tuple[OfficerCredential, ...]


def members(*, officer: Identity | None, now: datetime) -> list[Member]:
    """Everybody on the staff, services included, for whoever may see the staff; nobody else sees anybody."""
    if not rights.allowed(officer, Permission.SEE_STAFF, now):
        return []
    rows = Identity.objects.filter(kind__in=[Kind.OFFICER, Kind.SERVICE]).order_by("kind", "display_name")
    return [_member(row, now) for row in rows.prefetch_related("credentials")]


def member(person: UUID, *, officer: Identity | None, now: datetime) -> Member:
    """One of them; NotFound."""
    row = Identity.objects.filter(pk=person, kind__in=[Kind.OFFICER, Kind.SERVICE]).first()
    if row is None or not rights.allowed(officer, Permission.SEE_STAFF, now):
        raise NotFound("There is no such member of staff.", target=f"access.identity/{person}")
    return _member(row, now)


def grants_of(person: UUID) -> list[RoleGrant]:
    """All roles that somebody holds or held, newest first; the caller has decided that they may be seen."""
    return list(RoleGrant.objects.filter(identity_id=person).order_by("-granted_at", "-id"))


def _member(row: Identity, now: datetime) -> Member:
    return Member(
        row,
        tuple(sorted(role.label for role in rights.roles_of(row, now))),
        tuple(key for key in row.credentials.all() if key.revoked_at is None),
    )
