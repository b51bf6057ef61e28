"""Ending an elevation before its time: at once, by the person or by whoever may suspend people."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import audit, endings
from core.access import rights
from core.access.models import RoleGrant
from core.access.permissions import Permission
from core.action import action
from core.actor import Actor
from core.refusals import NotFound, Refused
from core.staff.events import Event


class EndedAlready(Refused):
    """It has ended by itself, or somebody was quicker."""

    code = "staff.elevation_ended"


def _whose(*, grant: UUID, **_: object) -> endings.People:
    return endings.of(*RoleGrant.objects.filter(pk=grant).values_list("identity", flat=True))


@action(Event.ELEVATION_ENDED, people=_whose)
def end_elevation(*, grant: UUID, actor: Actor, now: datetime) -> RoleGrant:
    """The role is held for a time no longer: who was granted it twice, to go on for longer, loses both."""
    row = RoleGrant.objects.select_for_update().filter(pk=grant, valid_until__isnull=False).first()
    officer = rights.officer_behind(actor)
    mine = row is not None and officer is not None and row.identity_id == officer.pk
    if row is None or not (mine or rights.allowed(officer, Permission.SUSPEND_STAFF, now)):
        raise NotFound("There is no such elevation.", target=f"access.rolegrant/{grant}")
    if row.revoked_at is not None or row.valid_until is None or row.valid_until <= now:
        raise EndedAlready("It has ended already.", target=f"access.rolegrant/{grant}")
    for_a_time = RoleGrant.objects.filter(identity=row.identity_id, role=row.role, valid_until__gt=now)
    for each in for_a_time.filter(revoked_at=None).order_by("pk"):
        RoleGrant.objects.filter(pk=each.pk, revoked_at=None).update(revoked_at=now)
        after = {"person": each.identity_id, "role": each.role}
        audit.record(Event.ELEVATION_ENDED, each, actor=actor, now=now, after=after)
    row.revoked_at = now
    return row
