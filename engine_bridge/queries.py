"""Reads of the venue: for traders their own rows, for officers markets and the engine's health."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, ExpressionWrapper, F, Max, Min, QuerySet, Sum
from django.db.models.functions import Cast

from core import access
from core.access.models import Identity
from core.fields import UnitsField
from core.refusals import NotFound
from engine_bridge.domain.commands import client_mark
from engine_bridge.domain.instruments import Scale
from engine_bridge.locks import SHARD
from engine_bridge.models import (
    EngineAccount,
    EngineCursor,
    Fill,
    Instrument,
    Order,
    TradingBalance,
    Transfer,
)
from engine_bridge.permissions import Permission
from kernel.money import Amount

OPEN_STATES: Final = ("live", "partially_filled")
POLL_S: Final = 0.005
_TICKLOTS: Final = ExpressionWrapper(
    Cast(F("price_ticks"), UnitsField()) * Cast(F("qty_lots"), UnitsField()), output_field=UnitsField()
)
"""Price times quantity, in NUMERIC: the product of two 64-bit numbers may need more."""


@dataclass(frozen=True, slots=True)
class TradingBalanceView:
    """A trading balance as money."""

    total: Amount
    held: Amount
    updated_at: datetime

    @property
    def available(self) -> Amount:
        return self.total - self.held


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


def instruments() -> QuerySet[Instrument]:
    """Every listed market."""
    return Instrument.objects.order_by("pk")


def instrument(symbol: str) -> Instrument | None:
    """The market of that symbol, if it is listed."""
    return Instrument.objects.filter(symbol=symbol).first()


def account_of(customer_id: UUID) -> EngineAccount | None:
    """The customer's engine account, if they have one."""
    return EngineAccount.objects.filter(identity_id=customer_id).first()


def trading_balances(account: EngineAccount | None) -> list[TradingBalanceView]:
    """The account's balances, by asset."""
    rows = TradingBalance.objects.filter(account=account).order_by("asset") if account else ()
    return [
        TradingBalanceView(Amount(row.units, row.asset), Amount(row.held, row.asset), row.updated_at)
        for row in rows
    ]


def order(account: EngineAccount | None, *, order_id: int | None = None, client_id: str = "") -> Order | None:
    """One of the account's own orders, by number or by the client's latest use of a name."""
    rows = Order.objects.select_related("instrument").filter(account=account)
    if account is None:
        return None
    if order_id is not None:
        return rows.filter(pk=order_id).first()
    return rows.filter(client_mark=client_mark(account.pk, client_id)).order_by("-pk").first()


def orders(account: EngineAccount | None, *, is_open: bool | None = None) -> QuerySet[Order]:
    """The account's orders, newest first: all, the open ones, or those that are done."""
    rows = Order.objects.select_related("instrument").order_by("-pk")
    rows = rows.filter(account=account) if account else rows.none()
    if is_open is None:
        return rows
    return rows.filter(state__in=OPEN_STATES) if is_open else rows.exclude(state__in=OPEN_STATES)


def fills(account: EngineAccount | None) -> QuerySet[Fill]:
    """The account's fills, newest first."""
    rows = Fill.objects.select_related("instrument", "order").order_by("-pk")
    return rows.filter(account=account) if account else rows.none()


def public_trades(market: Instrument) -> QuerySet[Fill]:
    """The market's trades, newest first, each once and from its taker's side."""
    return Fill.objects.select_related("instrument").filter(instrument=market, taker=True).order_by("-pk")


def transfer(account: EngineAccount | None, transfer_id: UUID) -> Transfer | None:
    """One of the account's own transfers."""
    return Transfer.objects.filter(account=account, pk=transfer_id).first() if account else None


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


def settled_engine_seq() -> int:
    """The newest engine sequence whose events are in the mirrors."""
    found = EngineCursor.objects.filter(shard=SHARD).values_list("last_engine_seq", flat=True).first()
    return found or 0


def wait_for_settlement(engine_seq: int, *, timeout_s: float) -> bool:
    """Whether the mirrors reach this engine sequence within the time; looks every few milliseconds."""
    deadline = time.monotonic() + timeout_s
    while settled_engine_seq() < engine_seq:
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def wait_for_transfer(transfer_id: UUID, *, timeout_s: float) -> Transfer:
    """The transfer once it is closed, or as it stands when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        row = Transfer.objects.get(pk=transfer_id)
        # Inside a transaction nobody else's commit can be waited for.
        if row.state != "pending" or time.monotonic() >= deadline or connection.in_atomic_block:
            return row
        time.sleep(POLL_S)


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
class SettlementView:
    """How far settlement has come, and why it stands where it does."""

    last_event_seq: int
    last_engine_seq: int
    epoch: int
    settled_at: datetime | None
    halted: str
    pending_transfers: int
    oldest_pending: datetime | None


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
    )


def _market(row: Instrument, *, now: datetime) -> MarketView:
    open_orders = Order.objects.filter(instrument=row, state__in=OPEN_STATES).count()
    return MarketView(row, ticker(row, now=now), open_orders)
