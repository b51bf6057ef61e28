"""How far settlement has come."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from core import access
from core.access.models import Identity
from core.refusals import NotFound
from engine_bridge.locks import SHARD
from engine_bridge.models import (
    EngineCursor,
    Transfer,
)
from engine_bridge.permissions import Permission
from engine_bridge.queries.traders import POLL_S


@dataclass(frozen=True, slots=True)
class SettlementView:
    """How far settlement has come, and why it stands where it does."""

    last_event_seq: int
    last_engine_seq: int
    epoch: int
    settled_at: datetime | None
    halted: str
    pending_transfers: int
    oldest_pending: datetime | None
    rebuilt_to: int

    @property
    def is_rebuilding(self) -> bool:
        """Whether the mirrors were emptied and have not come back to where they had been."""
        return self.last_event_seq < self.rebuilt_to


def settled_engine_seq() -> int:
    """The newest engine sequence whose events are in the mirrors."""
    found = EngineCursor.objects.filter(shard=SHARD).values_list("last_engine_seq", flat=True).first()
    return found or 0


def settled_event_seq() -> int:
    """The newest event that is in the mirrors."""
    found = EngineCursor.objects.filter(shard=SHARD).values_list("last_event_seq", flat=True).first()
    return found or 0


@dataclass(frozen=True, slots=True)
class LastEvent:
    """The last event that was settled, and what tells it from any other under its number."""

    event_seq: int
    engine_seq: int
    at: datetime


def last_event() -> LastEvent | None:
    """None before the first, also of a rebuild, and where an application of a former version settled it."""
    row = EngineCursor.objects.filter(shard=SHARD).first()
    if row is None or row.last_event_at is None:
        return None
    return LastEvent(row.last_event_seq, row.last_engine_seq, row.last_event_at)


def known_event_seq() -> int:
    """The newest event that was ever settled, also while the mirrors are being rebuilt."""
    found = EngineCursor.objects.filter(shard=SHARD).values_list("last_event_seq", "rebuilt_to").first()
    return max(found or (0,))


def wait_for_settlement(engine_seq: int, *, timeout_s: float) -> bool:
    """Whether the mirrors reach this engine sequence within the time; looks every few milliseconds."""
    deadline = time.monotonic() + timeout_s
    while settled_engine_seq() < engine_seq:
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def settlement_for(officer: Identity | None, *, now: datetime) -> SettlementView:
    """Settlement's state; NotFound for who may not see markets."""
    if not access.allowed(officer, Permission.SEE_MARKETS, now):
        raise NotFound("There is no such page.")
    return settlement()


def settlement() -> SettlementView:
    """Settlement's state, for probes and commands."""
    row = EngineCursor.objects.filter(shard=SHARD).first() or EngineCursor(shard=SHARD)
    pending = Transfer.objects.filter(state="pending").order_by("created_at")
    oldest = pending.first()
    return SettlementView(
        last_event_seq=row.last_event_seq,
        last_engine_seq=row.last_engine_seq,
        epoch=row.epoch,
        settled_at=row.settled_at,
        halted=row.halted,
        pending_transfers=pending.count(),
        oldest_pending=oldest.created_at if oldest else None,
        rebuilt_to=row.rebuilt_to,
    )
