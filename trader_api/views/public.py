"""Time, markets and the state of the service: no key needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from engine_bridge import gateway, queries
from engine_bridge.models import Instrument
from trader_api import limits, rows
from trader_api.endpoint import Endpoint, number, word
from trader_api.envelope import ok
from trader_api.errors import ApiError, unavailable

BOOK_DEPTH_MAX: Final = 400
TRADES_MAX: Final = 500
WITHOUT_MARKETS: Final = frozenset({"FUTURES", "SWAP", "OPTION", "MARGIN"})
"""Kinds of instrument that clients ask for and that are not traded here: an empty list, not an error."""
REOPENS_WITHIN: Final = timedelta(minutes=10)


class Time(Endpoint):
    limit = limits.TIME

    def get(self, request: Request) -> Response:
        """The server's clock, against which requests are signed."""
        return ok([{"ts": rows.ms(self.now)}])


class Instruments(Endpoint):
    limit = limits.INSTRUMENTS

    def get(self, request: Request) -> Response:
        """The markets of one kind."""
        kind = word(request.query_params, "instType", required=True)
        if kind in WITHOUT_MARKETS:
            return ok()
        if kind != "SPOT":
            raise ApiError("51000", "Parameter instType error.")
        wanted = word(request.query_params, "instId")
        found = [row for row in queries.instruments() if wanted in ("", row.symbol)]
        if wanted and not found:
            raise ApiError("51001", "Instrument ID does not exist.")
        return ok([rows.instrument(row) for row in found])


class Status(Endpoint):
    limit = limits.STATUS

    def get(self, request: Request) -> Response:
        """Maintenance: one row while the engine takes no orders, none otherwise."""
        wanted = word(request.query_params, "state")
        if wanted not in ("", "ongoing") or gateway.is_connected():
            return ok()
        row = {
            "title": "Matching engine upgrade",
            "state": "ongoing",
            "begin": rows.ms(self.now),
            "end": rows.ms(self.now + REOPENS_WITHIN),
            "preOpenBegin": "",
            "href": "",
            "serviceType": "5",
            "system": "unified",
            "scheDesc": "",
            "maintType": "2",
            "env": "1",
        }
        return ok([row])


class Books(Endpoint):
    limit = limits.BOOKS

    def get(self, request: Request) -> Response:
        """A market's book: durable orders only, best first."""
        market = market_named(request)
        depth = max(1, number(request.query_params, "sz", default=1, largest=BOOK_DEPTH_MAX))
        view = _book(market, depth=depth)
        return ok([rows.book(view, market.scale, depth=depth, now=self.now)])


class Ticker(Endpoint):
    limit = limits.TICKERS

    def get(self, request: Request) -> Response:
        """One market's last day and best prices."""
        return ok([_ticker(market_named(request), self)])


class Tickers(Endpoint):
    limit = limits.TICKERS

    def get(self, request: Request) -> Response:
        """Every market's last day and best prices."""
        kind = word(request.query_params, "instType", required=True)
        found = queries.instruments() if kind == "SPOT" else []
        return ok([_ticker(row, self) for row in found])


class Trades(Endpoint):
    limit = limits.TRADES

    def get(self, request: Request) -> Response:
        """A market's newest trades."""
        market = market_named(request)
        count = number(request.query_params, "limit", default=100, largest=TRADES_MAX)
        return ok([rows.public_trade(row) for row in queries.public_trades(market)[:count]])


def market_named(request: Request) -> Instrument:
    """The market that the query names; 51001."""
    symbol = word(request.query_params, "instId", required=True)
    found = queries.instrument(symbol)
    if found is None:
        raise ApiError("51001", "Instrument ID does not exist.")
    return found


def _book(market: Instrument, *, depth: int) -> gateway.BookView:
    try:
        return gateway.book(market, depth=depth)
    except gateway.EngineAway:
        raise unavailable() from None


def _ticker(market: Instrument, view: Any) -> rows.Row:
    best = _book(market, depth=1)
    return rows.ticker(queries.ticker(market, now=view.now), best, now=view.now)
