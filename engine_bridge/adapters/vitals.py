"""The engine's own word on how it is, left in Redis for whoever may not open the admin socket."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from django.db import connection

from engine_bridge.adapters import notes
from engine_bridge.adapters.administration import ShardReading

FRESH: Final = timedelta(seconds=30)
"""Older news is no news: the engine, or settlement, is not there."""
KEPT: Final = timedelta(days=7)
"""How long the last word is shown, with its age, after there is no newer one."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the engine said last, and when."""

    reading: ShardReading
    taken_at: datetime


def leave(reading: ShardReading, *, now: datetime) -> None:
    """Put the reading where the console looks."""
    body = dataclasses.asdict(reading) | {"engine_time": reading.engine_time.isoformat()}
    text = json.dumps({"reading": body, "taken_at": now.isoformat()})
    notes.store().set(_key(), text, px=int(KEPT.total_seconds() * 1000))


def find(now: datetime) -> ShardReading | None:
    """The newest reading, if it is fresh."""
    found = last()
    return found.reading if found is not None and now - found.taken_at <= FRESH else None


def last() -> Vitals | None:
    """The newest reading, however old."""
    found = cast("bytes | None", notes.store().get(_key()))
    if found is None:
        return None
    told = json.loads(found)
    body = told["reading"]
    reading = ShardReading(**(body | {"engine_time": datetime.fromisoformat(body["engine_time"])}))
    return Vitals(reading, datetime.fromisoformat(told["taken_at"]))


def _key() -> str:
    return f"engine:{connection.settings_dict['NAME']}:vitals"
