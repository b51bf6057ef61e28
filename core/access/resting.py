"""What an act of the staff rests on: the permission that opened its page, elevations, a session, a device."""

from __future__ import annotations

from datetime import UTC, datetime

from core.access import rights
from core.access.models import Identity, OfficerSession, RoleGrant
from core.actor import Actor
from core.endings import NEVER


def permission(actor: Actor, name: str, now: datetime) -> datetime | None:
    """By whichever role; what time ends is an elevation, which is named beside it."""
    return NEVER if rights.allowed(Identity(pk=actor.identity), name, now) else None


def elevation(actor: Actor, grant: str, now: datetime) -> datetime | None:
    """What is begun under an elevation happens under it, whatever a role of one's own would allow besides."""
    found = RoleGrant.objects.filter(pk=grant, identity=actor.identity, revoked_at=None, valid_until__gt=now)
    return found.values_list("valid_until", flat=True).first()


def session(actor: Actor, sitting: str, now: datetime) -> datetime | None:
    """Neither ended nor used from elsewhere since."""
    here = OfficerSession.objects.filter(pk=sitting, officer=actor.identity, ended_at=None, moved_at=None)
    return NEVER if here.exists() else None


def posture(actor: Actor, until: str, now: datetime) -> datetime | None:
    """As long as the edge's word of the device serves: the edge is not asked in the middle of an act."""
    ends_at = datetime.fromtimestamp(float(until), UTC)
    return ends_at if ends_at > now else None
