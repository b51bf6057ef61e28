"""Listing a market."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core import audit
from core.action import action
from core.actor import Actor
from engine_bridge.domain.markets import Known, Listing
from engine_bridge.events import Event
from engine_bridge.models import Instrument


@action(Event.MARKET_LISTED)
def list_market(
    *, listing: Listing, known: Known | None = None, reason: str = "", actor: Actor, now: datetime
) -> Instrument:
    """Our row of a market, with its terms; `known` is what the engine says of it so far. The same again
    changes nothing. Its state is the engine's to say; one that is new to it is opened unless somebody stopped
    it here. The event says all that listing it changes, here and there.
    """
    scale = listing.scale
    terms: dict[str, Any] = {
        "symbol": scale.symbol,
        "base": scale.base,
        "quote": scale.quote,
        "tick_units": scale.tick_units,
        "lot_units": scale.lot_units,
        "maker_fee_bps": listing.maker_fee_bps,
        "taker_fee_bps": listing.taker_fee_bps,
    }
    row = Instrument.objects.select_for_update().filter(pk=listing.number).first()
    before = {name: getattr(row, name) for name in terms} if row else {}
    if row is None:
        row = Instrument.objects.create(pk=listing.number, listed_at=now, **terms)
    elif before != terms:
        Instrument.objects.filter(pk=row.pk).update(**terms)
        row.refresh_from_db()
    before |= known._asdict() if known else {"state": None}
    state = known.state if known else "halted" if row.is_stopped else "open"
    after = terms | Known(state, listing.max_price_ticks, listing.max_qty_lots)._asdict()
    if before != after:
        audit.record(
            Event.MARKET_LISTED, row, actor=actor, now=now, before=before, after=after, reason=reason.strip()
        )
    return row
