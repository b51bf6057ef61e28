"""The engine's own word on how it is, left in Redis for whoever may not open the admin socket."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from typing import Final, cast

from django.db import connection

from engine_bridge.adapters import notes
from engine_bridge.adapters.administration import ShardReading

KEPT: Final = timedelta(seconds=30)
"""Older news is no news: the engine, or settlement, is not there."""


def leave(reading: ShardReading) -> None:
    """Put the reading where the console looks."""
    body = dataclasses.asdict(reading) | {"engine_time": reading.engine_time.isoformat()}
    notes.store().set(_key(), json.dumps(body), px=int(KEPT.total_seconds() * 1000))


def find() -> ShardReading | None:
    """The newest reading, if it is fresh."""
    found = cast("bytes | None", notes.store().get(_key()))
    if found is None:
        return None
    body = json.loads(found)
    return ShardReading(**(body | {"engine_time": datetime.fromisoformat(body["engine_time"])}))


def _key() -> str:
    return f"engine:{connection.settings_dict['NAME']}:vitals"
