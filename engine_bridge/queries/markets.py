"""Markets: their terms and their day, for everybody; their book and screens, for officers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, ExpressionWrapper, F, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Cast

from core import access
from core.access.models import Identity
from core.fields import UnitsField
from core.freezes import queries as freezes
from core.refusals import NotFound
from engine_bridge.domain.instruments import Scale
from engine_bridge.domain.markets import STOPS
from engine_bridge.models import (
    Fill,
    Instrument,
    Order,
)
from engine_bridge.permissions import Permission
from engine_bridge.queries.traders import OPEN_STATES
from kernel.money import Amount

_TICKLOTS: Final = ExpressionWrapper(
    Cast(F("price_ticks"), UnitsField()) * Cast(F("qty_lots"), UnitsField()), output_field=UnitsField()
)
"""Price times quantity, in NUMERIC: the product of two 64-bit numbers may need more."""


@dataclass(frozen=True, slots=True)
class TickerView:
    """A market's last day in ticks and lots; None where there was nothing."""

    scale: Scale
    last: int | None
    last_lots: int | None
    open: int | None
    high: int | None
    low: int | None
    volume_lots: int
    volume_ticklots: int


@dataclass(frozen=True, slots=True)
class MarketView:
    """One line of the officers' markets screen."""

    instrument: Instrument
    ticker: TickerView
    open_orders: int

    @property
    def last(self) -> str:
        return self.instrument.scale.price(self.ticker.last) if self.ticker.last is not None else ""

    @property
    def volume(self) -> Amount:
        return self.instrument.scale.base_amount(self.ticker.volume_lots)


@dataclass(frozen=True, slots=True)
class BookLine:
    """One price of the book: its open size and how many orders stand there."""

    price: str
    size: Amount
    orders: int


@dataclass(frozen=True, slots=True)
class SettledBook:
    """Both sides of a market, best first, as far as settlement has come."""

    bids: list[BookLine]
    asks: list[BookLine]


def instruments() -> QuerySet[Instrument]:
    """Every listed market."""
    return Instrument.objects.order_by("pk")


def to_be_frozen() -> list[str]:
    """The markets that a freeze covers and that may trade still, or again by a release from before it."""
    scopes = freezes.in_force().filter(scope__startswith="market:").values_list("scope", flat=True)
    rows = Instrument.objects.filter(symbol__in=[scope.partition(":")[2] for scope in scopes])
    stopped = Q(wanted_state__in=STOPS, release_request=None)
    return list(rows.exclude(stopped).order_by("pk").values_list("symbol", flat=True))


def instrument(symbol: str) -> Instrument | None:
    """The market of that symbol, if it is listed."""
    return Instrument.objects.filter(symbol=symbol).first()


def public_trades(market: Instrument) -> QuerySet[Fill]:
    """The market's trades, newest first, each once and from its taker's side."""
    return Fill.objects.select_related("instrument").filter(instrument=market, taker=True).order_by("-pk")


def ticker(market: Instrument, *, now: datetime) -> TickerView:
    """The market's last 24 hours."""
    trades = public_trades(market)
    day = trades.filter(traded_at__gt=now - timedelta(days=1)).order_by()
    sums = day.aggregate(
        high=Max("price_ticks"),
        low=Min("price_ticks"),
        lots=Sum("qty_lots"),
        first=Min("pk"),
    )
    ticklots = day.aggregate(total=Sum(_TICKLOTS))["total"]
    last = trades.first()
    first = trades.filter(pk=sums["first"]).first() if sums["first"] else None
    return TickerView(
        scale=market.scale,
        last=last.price_ticks if last else None,
        last_lots=last.qty_lots if last else None,
        open=first.price_ticks if first else None,
        high=sums["high"],
        low=sums["low"],
        volume_lots=int(sums["lots"] or 0),
        volume_ticklots=int(ticklots or 0),
    )


def settled_book(market: Instrument, *, depth: int) -> SettledBook:
    """The book out of the mirrors; it needs no line to the engine, and so also shows where it stood still."""

    def side(name: str, order: str) -> list[BookLine]:
        rows = (
            Order.objects.filter(instrument=market, state__in=OPEN_STATES, side=name)
            .values("price_ticks")
            .annotate(lots=Sum(F("qty_lots") - F("filled_lots")), orders=Count("pk"))
            .order_by(order)[:depth]
        )
        scale = market.scale
        return [
            BookLine(scale.price(row["price_ticks"]), scale.base_amount(int(row["lots"])), row["orders"])
            for row in rows
        ]

    return SettledBook(bids=side("buy", "-price_ticks"), asks=side("sell", "price_ticks"))


def markets_for(officer: Identity | None, *, now: datetime) -> list[MarketView]:
    """Every market with its day; an empty list for who may not see them."""
    if not access.allowed(officer, Permission.SEE_MARKETS, now):
        return []
    return [_market(row, now=now) for row in instruments()]


def market_for(officer: Identity | None, symbol: str, *, now: datetime) -> MarketView:
    """One market; NotFound also for who may not see it."""
    row = instrument(symbol) if access.allowed(officer, Permission.SEE_MARKETS, now) else None
    if row is None:
        raise NotFound("There is no such market.")
    return _market(row, now=now)


def _market(row: Instrument, *, now: datetime) -> MarketView:
    open_orders = Order.objects.filter(instrument=row, state__in=OPEN_STATES).count()
    return MarketView(row, ticker(row, now=now), open_orders)
