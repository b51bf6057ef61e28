"""Listing markets: joins the engine's administration to our own row of each market."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from core.actor import Actor
from engine_bridge import charging
from engine_bridge.actions.halts import stop_frozen_market
from engine_bridge.actions.markets import list_market
from engine_bridge.adapters import administration
from engine_bridge.domain import assets
from engine_bridge.domain.markets import LISTINGS, STOPS
from kernel.money import asset


def put_all(target: str, *, reason: str = "", actor: Actor, now: datetime) -> Iterator[tuple[str, str]]:
    """Each market's symbol and state once it is listed on both sides. Running it again changes nothing.

    Our row comes first, so that settlement knows the market before its first event. A market that the engine
    knew before keeps its state: a halt is not undone by listing again, nor at an engine that begins anew.
    Such a one gets its bands and the accounts' fees before anything trades there.
    """
    for code, number in sorted(assets.NUMBERS.items()):
        administration.put_asset(target, number=number, code=code, decimals=asset(code).decimals)
    charging.tell_all(target)
    for listing in LISTINGS:
        known = administration.described(target).get(listing.number)
        row = list_market(listing=listing, known=known, reason=reason, actor=actor, now=now)
        row = stop_frozen_market(symbol=row.symbol, actor=actor, now=now) or row
        base, quote = assets.number(listing.scale.base), assets.number(listing.scale.quote)
        administration.put_instrument(target, listing, base=base, quote=quote)
        if known is None and row.band is not None:
            administration.set_band(target, instrument=row.pk, band=row.band)
        if known is None and row.wanted_state not in STOPS:
            administration.set_state(target, instrument=listing.number, state="open")
        yield listing.scale.symbol, administration.listed(target)[listing.number]
