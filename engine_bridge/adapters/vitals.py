"""The engine's own word on how it is, left in Redis for whoever may not open the admin socket."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from django.db import connection

from engine_bridge.adapters import notes
from engine_bridge.adapters.administration import ShardReading
from engine_bridge.adapters.inspection import Depth, Indication, Level, Verification

FRESH: Final = timedelta(seconds=10)
"""Older news is no news: whoever looks every second is not there."""
KEPT: Final = timedelta(days=7)
"""How long the last word is shown, with its age, after there is no newer one."""
LIVE: Final = timedelta(seconds=5)
"""A book that was seen longer ago is not what traders meet now."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the engine said last, and when; `verification` is None where none was made since it leads."""

    reading: ShardReading
    taken_at: datetime
    verification: Verification | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """Why the engine gave no word when it was last asked, and when that was."""

    reason: str
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class SeenDepth:
    """A book's best levels and its market's state in the engine, and when they were seen."""

    depth: Depth
    taken_at: datetime
    state: str


def leave(reading: ShardReading, verification: Verification | None = None, *, now: datetime) -> None:
    """Put the reading where the console looks."""
    _put("vitals", now, reading=_told(reading), verification=_told(verification))


def leave_silence(reason: str, *, now: datetime) -> None:
    """Put down that the engine was asked and did not answer."""
    _put("silence", now, reason=reason)


def leave_depth(instrument: int, depth: Depth, *, state: str, now: datetime) -> None:
    """Put a book's best levels, and its market's state, where the console looks."""
    _put(f"depth:{instrument}", now, depth=_told(depth), state=state)


def find(now: datetime) -> ShardReading | None:
    """The newest reading, if it is fresh; one from a clock that was far ahead is not."""
    found = last()
    return found.reading if found is not None and abs(now - found.taken_at) <= FRESH else None


def last() -> Vitals | None:
    """The newest reading, however old."""
    told = _take("vitals")
    if told is None:
        return None
    body, verified = told["reading"], told.get("verification")
    reading = ShardReading(**(body | {"engine_time": datetime.fromisoformat(body["engine_time"])}))
    return Vitals(reading, datetime.fromisoformat(told["taken_at"]), verified and _verification(verified))


def silence(now: datetime) -> Silence | None:
    """That it does not answer, if somebody has found so lately and has heard no word of it since."""
    told, word = _take("silence"), _take("vitals")
    if told is None:
        return None
    found = Silence(told["reason"], datetime.fromisoformat(told["taken_at"]))
    is_over = word is not None and datetime.fromisoformat(word["taken_at"]) >= found.taken_at
    return None if is_over or abs(now - found.taken_at) > FRESH else found


def last_depth(instrument: int) -> SeenDepth | None:
    """The newest levels of a book, however old."""
    told = _take(f"depth:{instrument}")
    if told is None:
        return None
    body = told["depth"]
    auction = body.get("auction")
    depth = Depth(
        body["event_seq"], _levels(body["bids"]), _levels(body["asks"]), auction and Indication(**auction)
    )
    return SeenDepth(depth, datetime.fromisoformat(told["taken_at"]), told.get("state", ""))


def _verification(body: dict[str, Any]) -> Verification:
    finished = body["finished_at"]
    moments = {
        "started_at": datetime.fromisoformat(body["started_at"]),
        "finished_at": finished and datetime.fromisoformat(finished),
    }
    return Verification(**(body | moments))


def _levels(body: list[list[int]]) -> tuple[Level, ...]:
    return tuple((ticks, lots, orders) for ticks, lots, orders in body)


def _told(value: ShardReading | Verification | Depth | None) -> dict[str, Any] | None:
    return None if value is None else dataclasses.asdict(value)


def _put(name: str, now: datetime, **body: Any) -> None:
    text = json.dumps(body | {"taken_at": now}, default=datetime.isoformat)
    notes.store().set(_key(name), text, px=int(KEPT.total_seconds() * 1000))


def _take(name: str) -> dict[str, Any] | None:
    found = cast("bytes | None", notes.store().get(_key(name)))
    return None if found is None else cast("dict[str, Any]", json.loads(found))


def _key(name: str) -> str:
    return f"engine:{connection.settings_dict['NAME']}:{name}"
