"""The engine as officers see it: its last word with its age, who follows it how far behind, what is stopped.

Nothing here calls the engine. Settlement leaves its word every few seconds; a page that waited for an engine
in trouble would be of no use to whoever looks because of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core import access
from core.access.models import Identity
from core.refusals import NotFound
from engine_bridge import queries
from engine_bridge.adapters import notes, vitals
from engine_bridge.adapters.administration import ShardReading
from engine_bridge.domain.markets import STOPS
from engine_bridge.models import Instrument
from engine_bridge.permissions import Permission


@dataclass(frozen=True, slots=True)
class Follower:
    """One reader of the engine's events."""

    name: str
    reached: int
    behind: int


@dataclass(frozen=True, slots=True)
class EngineView:
    """`reading` is None where nobody has heard of the engine for a week, or Redis is away."""

    reading: ShardReading | None
    taken_at: datetime | None
    is_fresh: bool
    followers: Sequence[Follower]
    settlement: queries.SettlementView
    stopped: Sequence[Instrument]


def engine_for(officer: Identity | None, *, now: datetime) -> EngineView:
    """What is known of the engine; NotFound for who may not see markets."""
    if not access.allowed(officer, Permission.SEE_MARKETS, now):
        raise NotFound("There is no such page.")
    try:
        found = vitals.last()
    except notes.NotesDown:
        found = None
    settlement = queries.settlement()
    stopped = [row for row in queries.instruments() if row.wanted_state in STOPS or row.state != "open"]
    if found is None:
        return EngineView(None, None, False, [], settlement, stopped)
    newest = found.reading.event_seq
    reached = dict(found.reading.consumers) | {"settled in PostgreSQL": settlement.last_event_seq}
    followers = [Follower(name, seq, max(0, newest - seq)) for name, seq in sorted(reached.items())]
    is_fresh = now - found.taken_at <= vitals.FRESH
    return EngineView(found.reading, found.taken_at, is_fresh, followers, settlement, stopped)
