"""What an event's text says, for those who search and show it. Whatever the text is, reading it never fails.

An attacker who holds the application's database role can write any text as an event. It is sealed like every
other, and named here as what it is.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

UNREADABLE: Final = "audit.unreadable"
GONE: Final = "removed since it was sealed"
_ACTION_MAX, _NAME_MAX, _TARGET_MAX = 200, 200, 300

# What a sealed event is listed under: one of these, and the name itself where it is followed by one.
EVERYTHING: Final = ""
READS: Final = "reads"
FAULTS: Final = "faults"
ACTION: Final = "action:"
TARGET: Final = "target:"
ACTOR: Final = "actor:"
IDENTITY: Final = "identity:"
PERSON: Final = "person:"
READER: Final = "reader:"
UNDER: Final = "under:"

_DECODER: Final = json.JSONDecoder()


class Found(NamedTuple):
    """What an event can be found by, and what is wrong with it."""

    at: datetime | None
    action: str
    target: str
    actor: str
    person: str
    under: str
    fault: str
    identity: str = ""

    def terms(self) -> list[str]:
        """What the event is listed under besides `EVERYTHING`: its names, and what few events have."""
        terms = [ACTION + self.action]
        if self.target:
            terms.append(TARGET + self.target)
        if self.actor:
            terms.append(ACTOR + self.actor)
        if self.identity:
            terms.append(IDENTITY + self.identity)
        if self.person:
            terms += [READS, PERSON + self.person, READER + self.actor]
        if self.under:
            terms += [UNDER + one for one in set(self.under.split())]
        if self.fault:
            terms.append(FAULTS)
        return terms


def shown(canon: str) -> dict[str, Any]:
    """The event as it may be shown: every member that a screen names is there, and of its kind."""
    found = read(canon)
    actor = found.get("actor") or {}
    texts = [found.get(name, "") for name in ("at", "action", "target", "reason")]
    texts += [value for value in actor.values() if value is not None]
    if found.get("action") == UNREADABLE or not all(isinstance(text, str) for text in texts):
        found, actor = {"action": UNREADABLE}, {}
    nobody = {"kind": "system", "label": "", "identity": None}
    blank = {"at": "", "action": "", "target": "", "reason": "", "before": None, "after": None}
    return blank | found | {"actor": nobody | actor}


def read(canon: str) -> dict[str, Any]:
    """The members of the event; of a text that is no event, those that a search needs."""
    try:
        found, end = _DECODER.raw_decode(canon)
    except (ValueError, RecursionError):
        found, end = None, 0
    if end != len(canon) or ("\\u" in canon and not _is_text(found)):
        found = None  # a canonical text has nothing around it, and no half of a character in it
    if isinstance(found, dict):
        actor = found.get("actor")
        if actor is None or isinstance(actor, dict):
            return found
    return {"action": UNREADABLE}


def _is_text(found: object) -> bool:
    """Whether all of it can be stored and shown: half a character of two cannot."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def found_by(canon: str, *, act: UUID | str | None) -> Found:
    """What to search the event by. `act` is what its writer told the database: the tripwire trusted that."""
    event = read(canon)
    actor = event.get("actor") or {}
    after, under = event.get("after"), actor.get("under")
    person = ""
    if act is None and isinstance(after, dict) and isinstance(after.get("fields"), list):
        person = after.get("person", "")
    moment = _moment(event.get("at"))
    action = _short(event.get("action"), _ACTION_MAX)
    fault = ""
    if action == UNREADABLE or moment is None or not action:
        fault = "no event"
    elif act is not None and event.get("act") != str(act):
        fault = "another act"
    return Found(
        moment,
        action,
        _short(event.get("target"), _TARGET_MAX),
        _short(actor.get("label"), _NAME_MAX),
        _short(person, _TARGET_MAX),
        _short(under, _TARGET_MAX),
        fault,
        _short(actor.get("identity"), _NAME_MAX),
    )


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)  # type: ignore[arg-type]
        if found.tzinfo is UTC:
            return found
        return found.astimezone(UTC) if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):  # such as no text, or one hour before the year 1
        return None


def _short(value: object, length: int) -> str:
    """The text without characters that PostgreSQL cannot hold."""
    if not isinstance(value, str):
        return ""
    return (value.replace("\x00", "") if "\x00" in value else value)[:length]
