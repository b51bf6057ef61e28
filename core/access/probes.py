"""How the door is doing, for the health screen."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from core import deployment
from core.access import doors, postures
from core.access.adapters.identities import FRESH_S as FRESH_ANSWER_S
from core.access.adapters.keys import FRESH_S, STALE_S
from core.health import Reading, Status


def edge_devices(now: datetime) -> Reading:
    """Whether the edge tells this process how devices are; without it nothing is approved or released."""
    standing = postures.desk(settings.ACCESS_TEAM_URL).standing()
    answered = None if standing.answered_s == float("inf") else int(standing.answered_s)
    facts: dict[str, str | int | None] = {
        "answered_s": answered,
        "last_error": standing.error or standing.apart or None,
    }
    if not standing.error and standing.apart:
        return Reading(
            Status.DEGRADED, "Each process asks the edge for itself: what they hear cannot be shared.", facts
        )
    if not standing.error:
        return Reading(Status.UP, "The edge answers." if answered is not None else "Not asked yet.", facts)
    if answered is not None and answered < FRESH_ANSWER_S:
        return Reading(
            Status.DEGRADED, "The edge does not answer; its last answers serve for minutes.", facts
        )
    return Reading(
        Status.DOWN, "The edge does not say how devices are: what demands a posture is refused.", facts
    )


def edge_keys(now: datetime) -> Reading:
    """Whether this process could fetch the edge's keys of late; without them nobody comes in any more."""
    age = doors.key_store(settings.ACCESS_TEAM_URL, development=deployment.is_development()).age()
    if not age.keys:
        return Reading(Status.DEGRADED, age.error or "This process has not asked for the keys yet.")
    facts: dict[str, str | int | None] = {
        "keys": age.keys,
        "age_s": int(age.seconds),
        "last_error": age.error or None,
    }
    if age.seconds > STALE_S:
        return Reading(Status.DOWN, "The keys are too old to be trusted; every token is refused.", facts)
    if age.is_odd:
        return Reading(
            Status.DEGRADED,
            "The edge answers with keys that cannot be told apart; the old ones serve.",
            facts,
        )
    if age.seconds > 2 * FRESH_S:
        return Reading(
            Status.DEGRADED, "The keys could not be fetched for a while; the old ones still serve.", facts
        )
    return Reading(Status.UP, "The keys are fresh.", facts)
