"""Markets, and how well the engine and its settlement do."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse

from backoffice.console import frame
from core import clock
from engine_bridge import queries

DEPTH: Final = 12
TRADES: Final = 20


def index(request: frame.StaffRequest) -> HttpResponse:
    """Every market with its day, and settlement's state."""
    now = clock.now()
    values = {
        "markets": queries.markets_for(request.identity, now=now),
        "settlement": queries.settlement_for(request.identity, now=now),
    }
    return frame.page(request, "console/markets.html", values, now=now)


def show(request: frame.StaffRequest, symbol: str) -> HttpResponse:
    """One market: its terms, its book as settled, its last trades."""
    now = clock.now()
    market = queries.market_for(request.identity, symbol, now=now)
    book = queries.settled_book(market.instrument, depth=DEPTH)
    values = {
        "market": market,
        "book": book,
        "trades": queries.public_trades(market.instrument)[:TRADES],
        "settlement": queries.settlement_for(request.identity, now=now),
    }
    return frame.page(request, "console/market.html", values, now=now)
