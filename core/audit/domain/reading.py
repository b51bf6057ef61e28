"""What an event's text says, for those who search and show it. Whatever the text is, reading it never fails.

An attacker who holds the application's database role can write any text as an event. It is sealed like every
other, and named here as what it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

UNREADABLE: Final = "audit.unreadable"
_ACTION_MAX, _NAME_MAX, _TARGET_MAX = 200, 200, 300


@dataclass(frozen=True, slots=True)
class Found:
    """What an event can be found by, and what is wrong with it."""

    at: datetime | None
    action: str
    target: str
    actor: str
    person: str
    under: str
    fault: str


def read(canon: str) -> dict[str, Any]:
    """The members of the event; of a text that is no event, those that a screen needs."""
    try:
        found = json.loads(canon)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("actor"), dict | None):
        return {"action": UNREADABLE, "actor": {}, "target": "", "at": "", "reason": "", "after": None}
    return found


def found_by(canon: str, *, act: UUID | str | None) -> Found:
    """What to search the event by. `act` is what its writer told the database: the tripwire trusted that."""
    event = read(canon)
    actor = event.get("actor") or {}
    after, under = event.get("after"), actor.get("under")
    is_read = act is None and isinstance(after, Mapping) and isinstance(after.get("fields"), list)
    person = after.get("person", "") if is_read and isinstance(after, Mapping) else ""
    moment = _moment(event.get("at"))
    action = _short(event.get("action"), _ACTION_MAX)
    fault = ""
    if action == UNREADABLE or moment is None or not action:
        fault = "no event"
    elif act is not None and event.get("act") != str(act):
        fault = "another act"
    return Found(
        at=moment,
        action=action,
        target=_short(event.get("target"), _TARGET_MAX),
        actor=_short(actor.get("label"), _NAME_MAX),
        person=_short(person, _TARGET_MAX),
        under=_short(under, _TARGET_MAX),
        fault=fault,
    )


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _short(value: object, length: int) -> str:
    """The text without characters that PostgreSQL cannot hold."""
    return value.replace("\x00", "")[:length] if isinstance(value, str) else ""
