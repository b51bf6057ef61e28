"""How long an officer's sitting at the console lasts, and why it ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

IDLE: Final = timedelta(minutes=15)
ABSOLUTE: Final = timedelta(hours=8)
CLOCKS_APART_MAX: Final = timedelta(minutes=2)
"""A session may have begun so much ahead of our clock; one further ahead would last until that moment."""
SEEN_EVERY: Final = timedelta(minutes=1)
"""How exactly the last request is remembered: a session idles out up to this much early, never late."""


class Why(StrEnum):
    """Why a session is over; part of the audit log."""

    IDLE = "idle"
    ABSOLUTE = "absolute"
    REPLACED = "replaced"
    ENDED = "ended"
    ALL_ENDED = "all_ended"
    SUSPENDED = "suspended"
    REBOUND = "rebound"


SENTENCES: Final = {
    Why.IDLE: "Your session ended after fifteen minutes without a request.",
    Why.ABSOLUTE: "Your session ended: eight hours are the longest it may last.",
    Why.REPLACED: "You have started a session elsewhere, which ended this one.",
    Why.ENDED: "Your session is ended.",
    Why.ALL_ENDED: "All your sessions were ended.",
    Why.SUSPENDED: "Your rights were taken away, and your session with them.",
    Why.REBOUND: "Your account at the edge is another one now, and this session belonged to the one before.",
}


def timed_out(*, started: datetime, seen: datetime, idles: bool, now: datetime) -> Why | None:
    """Which limit has passed, if one has; at the limit itself it has. A moment from the future, which a clock
    that was ahead has left, is one that has passed.

    A session that a key out of the safe has entered does not idle: whoever holds the glass open may have
    nothing else to come in with, and the glass ends by itself.
    """
    if not -CLOCKS_APART_MAX <= now - started < ABSOLUTE:
        return Why.ABSOLUTE
    return Why.IDLE if idles and not -CLOCKS_APART_MAX <= now - seen < IDLE else None
