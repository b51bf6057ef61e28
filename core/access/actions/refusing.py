"""Writing down that somebody was turned away."""

from __future__ import annotations

from datetime import datetime

from core import audit, endings
from core.access.events import Event
from core.action import action
from core.actor import Actor
from core.refusals import Refused


def _turned_away(**_: object) -> endings.People:
    return endings.TURNED_AWAY


@action(Event.DOOR_REFUSED, people=_turned_away)
def record_door_refusal(*, refusal: Refused, actor: Actor, now: datetime) -> None:
    """A valid token of somebody who is unknown here, suspended, or not who their e-mail says."""
    audit.record(
        Event.DOOR_REFUSED,
        refusal.target,
        actor=actor,
        now=now,
        after={"code": refusal.code},
        reason=str(refusal),
    )


@action(Event.VIEW_REFUSED, people=_turned_away)
def record_view_refusal(*, permission: str, path: str, actor: Actor, now: datetime) -> None:
    """A known person asked for a page that their roles do not open."""
    audit.record(
        Event.VIEW_REFUSED, f"permission/{permission}", actor=actor, now=now, after={"path": path[:200]}
    )


@action(Event.POSTURE_REFUSED, people=_turned_away)
def record_posture_refusal(
    *, refusal: Refused, permission: str, path: str, actor: Actor, now: datetime
) -> None:
    """A person who may asked from a device that may not, or of which too little is known."""
    audit.record(
        Event.POSTURE_REFUSED,
        f"permission/{permission}",
        actor=actor,
        now=now,
        after={"path": path[:200], "code": refusal.code, "lacks": refusal.target},
    )
