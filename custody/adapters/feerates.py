"""What the node last estimated, left in Redis for screens: whoever asks there may not reach the node."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from django.conf import settings
from django.db import connection

from core import redis_store

KEPT: Final = timedelta(days=1)
FRESH: Final = timedelta(minutes=2)
"""The worker asks every half minute; an older word is none, and one from the future neither."""

RatesDown = redis_store.Down


@dataclass(frozen=True, slots=True)
class Estimate:
    """Sats a vbyte with which the next `blocks` blocks should take a transaction; or why nobody knows."""

    rate: int | None
    why_not: str
    blocks: int


def leave(rate: int | None, *, why_not: str = "", blocks: int, now: datetime) -> None:
    """Put down what the node said, or why it said nothing."""
    text = json.dumps({"rate": rate, "why_not": why_not, "blocks": blocks, "at": now.isoformat()})
    redis_store.connected(settings.REDIS_URL).set(_key(), text, px=int(KEPT.total_seconds() * 1000))


def last(*, now: datetime) -> Estimate | None:
    """The newest word, if it is fresh."""
    told = cast("bytes | None", redis_store.connected(settings.REDIS_URL).get(_key()))
    if told is None:
        return None
    found = json.loads(told)
    if abs(now - datetime.fromisoformat(found["at"])) > FRESH:
        return None
    return Estimate(found["rate"], found["why_not"], found["blocks"])


def _key() -> str:
    return f"custody:{connection.settings_dict['NAME']}:feerate"
