"""The engine as officers see it: its last word with its age, who follows it how far behind, what is stopped.

Nothing here calls the engine. Its word and its books are left in Redis every second, beside settlement; a
page that waited for an engine in trouble would be of no use to whoever looks because of it.
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
from engine_bridge.adapters.inspection import Indication, Level, Verification
from engine_bridge.domain.flushes import Flushes, flushes
from engine_bridge.domain.instruments import Scale
from engine_bridge.domain.markets import STOPS
from engine_bridge.models import Instrument
from engine_bridge.permissions import Permission
from kernel.money import Amount


@dataclass(frozen=True, slots=True)
class Follower:
    """One reader of the engine's events."""

    name: str
    reached: int
    behind: int


@dataclass(frozen=True, slots=True)
class StateView:
    """A market's state: the engine's own, or the settled one where that was not seen lately."""

    instrument: Instrument
    state: str
    is_live: bool

    @property
    def is_awaited(self) -> bool:
        """Whether officers stopped it, and it is not known to be so."""
        return self.instrument.wanted_state in STOPS and self.instrument.wanted_state != self.state


@dataclass(frozen=True, slots=True)
class EngineView:
    """`reading` is None where nobody has heard of the engine for a week, or Redis is away; `silence` is there
    while it is asked and does not answer.
    """

    reading: ShardReading | None
    taken_at: datetime | None
    is_fresh: bool
    followers: Sequence[Follower]
    settlement: queries.SettlementView
    stopped: Sequence[StateView]
    verification: Verification | None = None
    flushes: Flushes | None = None
    silence: vitals.Silence | None = None


@dataclass(frozen=True, slots=True)
class CallView:
    """What a market's call auction would do now: at `price`, empty where nothing crosses, `size` would change
    hands, and `left` would stay on `left_side`, which is buy, sell or empty.
    """

    price: str
    size: Amount
    left: Amount
    left_side: str


@dataclass(frozen=True, slots=True)
class BookView:
    """A market's book, best first: the engine's own as of `taken_at`, or the settled one, without a
    `taken_at`, where nobody has heard of the engine's for a week. `call` while the engine's collects orders.
    """

    bids: Sequence[queries.BookLine]
    asks: Sequence[queries.BookLine]
    event_seq: int
    taken_at: datetime | None
    is_live: bool
    call: CallView | None = None


def engine_for(officer: Identity | None, *, now: datetime) -> EngineView:
    """What is known of the engine; NotFound for who may not see markets."""
    if not access.allowed(officer, Permission.SEE_MARKETS, now):
        raise NotFound("There is no such page.")
    try:
        found, silence = vitals.last(), vitals.silence(now)
    except notes.NotesDown:
        found = silence = None
    settlement = queries.settlement()
    states = [state_of(row, now=now) for row in queries.instruments()]
    stopped = [one for one in states if one.instrument.wanted_state in STOPS or one.state != "open"]
    if found is None:
        return EngineView(None, None, False, [], settlement, stopped, silence=silence)
    reading = found.reading
    newest = reading.event_seq
    reached = dict(reading.consumers) | {"settled in PostgreSQL": settlement.last_event_seq}
    followers = [Follower(name, seq, max(0, newest - seq)) for name, seq in sorted(reached.items())]
    is_fresh = silence is None and now - found.taken_at <= vitals.FRESH
    return EngineView(
        reading,
        found.taken_at,
        is_fresh,
        followers,
        settlement,
        stopped,
        verification=found.verification,
        flushes=flushes(reading.flush_us_buckets),
        silence=silence,
    )


def state_of(market: Instrument, *, now: datetime) -> StateView:
    """The state of a market that the caller may see: where settlement stands, so does the settled one."""
    seen, is_live = _seen(market, now=now)
    if seen is None or not seen.state or not is_live:
        return StateView(market, market.state, False)
    return StateView(market, seen.state, True)


def book_of(market: Instrument, *, depth: int, now: datetime) -> BookView:
    """The engine's book of a market that the caller may see; the settled one where there is no other."""
    seen, is_live = _seen(market, now=now)
    if seen is None:
        book = queries.settled_book(market, depth=depth)
        return BookView(book.bids, book.asks, queries.settled_event_seq(), None, False)
    bids, asks = (_lines(market.scale, levels[:depth]) for levels in (seen.depth.bids, seen.depth.asks))
    call = _call(market.scale, seen.depth.auction) if seen.depth.auction is not None else None
    return BookView(bids, asks, seen.depth.event_seq, seen.taken_at, is_live, call)


def _seen(market: Instrument, *, now: datetime) -> tuple[vitals.SeenDepth | None, bool]:
    """What was seen of it last, and whether traders meet that now."""
    try:
        seen, silence = vitals.last_depth(market.pk), vitals.silence(now)
    except notes.NotesDown:
        return None, False
    return seen, seen is not None and silence is None and now - seen.taken_at <= vitals.LIVE


def _call(scale: Scale, told: Indication) -> CallView:
    return CallView(
        price=scale.price(told.price_ticks) if told.price_ticks else "",
        size=scale.base_amount(told.matched_lots),
        left=scale.base_amount(told.unmatched_lots),
        left_side=told.unmatched_side,
    )


def _lines(scale: Scale, levels: Sequence[Level]) -> list[queries.BookLine]:
    return [
        queries.BookLine(scale.price(ticks), scale.base_amount(lots), orders)
        for ticks, lots, orders in levels
    ]
