"""Listing a market."""

from __future__ import annotations

from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from engine_bridge.domain.markets import Listing
from engine_bridge.events import Event
from engine_bridge.models import Instrument


@action(Event.MARKET_LISTED)
def list_market(*, listing: Listing, actor: Actor, now: datetime) -> Instrument:
    """Our row of a market, with its terms. The same terms again change nothing; its state is the engine's to
    say.
    """
    scale = listing.scale
    terms = {
        "symbol": scale.symbol,
        "base": scale.base,
        "quote": scale.quote,
        "tick_units": scale.tick_units,
        "lot_units": scale.lot_units,
        "maker_fee_bps": listing.maker_fee_bps,
        "taker_fee_bps": listing.taker_fee_bps,
    }
    row = Instrument.objects.select_for_update().filter(pk=listing.number).first()
    if row is None:
        row = Instrument.objects.create(pk=listing.number, listed_at=now, **terms)
        audit.record(Event.MARKET_LISTED, row, actor=actor, now=now, after=terms)
        return row
    before = {name: getattr(row, name) for name in terms}
    if before != terms:
        Instrument.objects.filter(pk=row.pk).update(**terms)
        audit.record(Event.MARKET_LISTED, row, actor=actor, now=now, before=before, after=terms)
        row.refresh_from_db()
    return row
