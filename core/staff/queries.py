"""Reads of the staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from core.access import rights
from core.access.models import Identity, Kind, OfficerCredential, OwnAccount, RoleGrant
from core.access.permissions import Permission
from core.approvals.models import ApprovalRequest
from core.audit import queries as log
from core.audit.models import AuditEvent
from core.refusals import NotFound
from kernel import canonical

DEEDS_MAX: Final = 500


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


def accounts_of(person: UUID) -> list[OwnAccount]:
    """Somebody's own accounts as a customer; the caller has decided that they may be seen."""
    return list(OwnAccount.objects.filter(officer_id=person).order_by("recorded_at", "id"))


def grants_of(person: UUID) -> list[RoleGrant]:
    """All roles that somebody holds or held, newest first; the caller has decided that they may be seen."""
    return list(RoleGrant.objects.filter(identity_id=person).order_by("-granted_at", "-id"))


@dataclass(frozen=True, slots=True)
class Elevation:
    """A role held for a time: `asked` is the request with its reason; `deeds` is what was done in it."""

    grant: RoleGrant
    asked: ApprovalRequest | None
    in_force: bool
    deeds: Sequence[AuditEvent] = ()

    @property
    def reason(self) -> str:
        """What it was asked for."""
        return str(canonical.decode_object(bytes(self.asked.payload))["reason"]) if self.asked else ""


def elevations(*, officer: Identity | None, now: datetime, limit: int = 50) -> list[Elevation]:
    """The newest first, for whoever may see the staff; nobody else sees any."""
    if not rights.allowed(officer, Permission.SEE_STAFF, now):
        return []
    grants = RoleGrant.objects.filter(valid_until__isnull=False).select_related("identity")
    return [_elevation(grant, now) for grant in grants.order_by("-granted_at", "-id")[:limit]]


def elevation(grant: UUID, *, officer: Identity | None, now: datetime) -> Elevation:
    """One of them with all its deeds, oldest first; NotFound."""
    row = RoleGrant.objects.filter(pk=grant, valid_until__isnull=False).select_related("identity").first()
    if row is None or not rights.allowed(officer, Permission.SEE_STAFF, now):
        raise NotFound("There is no such elevation.", target=f"access.rolegrant/{grant}")
    deeds = log.events(under=f"access.rolegrant/{row.pk}", limit=DEEDS_MAX)
    return replace(_elevation(row, now), deeds=deeds[::-1])


def _elevation(grant: RoleGrant, now: datetime) -> Elevation:
    asked = ApprovalRequest.objects.filter(pk=grant.request).first() if grant.request else None
    in_force = grant.revoked_at is None and grant.valid_until is not None and grant.valid_until > now
    return Elevation(grant, asked, in_force)


def _member(row: Identity, now: datetime) -> Member:
    return Member(
        row,
        tuple(sorted(role.label for role in rights.roles_of(row, now))),
        tuple(key for key in row.credentials.all() if key.revoked_at is None),
    )
