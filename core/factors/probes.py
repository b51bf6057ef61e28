"""How emergencies stand, for the health screen."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings

from core.factors import queries
from core.health import Reading, Status

KEYS_WANTED: Final = 2


def break_glass(now: datetime) -> Reading:
    """Whether the glass is broken, and whether there are keys to break it with."""
    row = queries.glass_in_force()
    if row is not None:
        return Reading(
            Status.DOWN,
            f"The glass is broken: {row.asked_by} and {row.seconded_by} act under it. Anybody can end it.",
            {"ends_at": row.ends_at.isoformat() if row.ends_at else None},
        )
    if waiting := queries.alerts_waiting(now=now):
        return Reading(
            Status.DEGRADED,
            "Nobody outside has taken an alert yet; the worker's log says why, and it is tried again.",
            {"waiting": waiting},
        )
    keys = len(queries.whole_keys())
    if keys < KEYS_WANTED:
        return Reading(
            Status.DEGRADED,
            "There are fewer than two keys whose seal is whole: nobody can break the glass.",
            {"keys": keys},
        )
    is_mute = not (settings.ALERT_SMTP_URL or settings.ALERT_WEBHOOK_URL)
    if is_mute and settings.ALERTS_EXPECTED:
        return Reading(
            Status.DEGRADED, "Nobody outside the console would be told of an emergency.", {"keys": keys}
        )
    return Reading(Status.UP, "The glass is whole, and there are keys for an emergency.", {"keys": keys})
