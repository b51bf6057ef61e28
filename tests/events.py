"""Events as the engine writes them, for tests that need no engine: a small venue that only knows how to
match two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from engine_bridge.domain.events import (
    Accepted,
    Batch,
    Body,
    Done,
    Event,
    InstrumentChanged,
    OrderSpec,
    Traded,
    TradeSide,
    TransferClosed,
    Units,
)
from engine_bridge.domain.orders import OrderType, Side, StpMode

BTC, USDT = 1, 2
LOT: Final = 1_000
FIRST: Final = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@dataclass
class Tape:
    """Writes events one after another, with numbers as the engine gives them."""

    events: list[Event] = field(default_factory=list)
    orders: int = 0

    def write(self, body: Body, *, instrument: int = 1) -> Event:
        number = len(self.events) + 1
        event = Event(number, number, FIRST + timedelta(milliseconds=number), instrument, body)
        self.events.append(event)
        return event

    def batch(self, first: int = 1, last: int | None = None, *, epoch: int = 1) -> Batch:
        """The events from `first` to `last`, as one batch."""
        chosen = tuple(self.events[first - 1 : last])
        return Batch(epoch, first, chosen, len(self.events))

    def open_market(self) -> None:
        self.write(InstrumentChanged("open"))

    def transfer(
        self, transfer_id: UUID, account: int, asset: int, units: int, *, into: bool = True, refusal: str = ""
    ) -> None:
        self.write(TransferClosed(transfer_id, account, into, Units(asset, units), refusal), instrument=0)

    def accept(self, account: int, side: Side, price: int, lots: int, *, mark: int = 0) -> OrderSpec:
        self.orders += 1
        spec = OrderSpec(
            self.orders, account, side, OrderType.LIMIT, price, lots, 0, StpMode.CANCEL_MAKER, mark
        )
        self.write(Accepted(spec, _held(spec, lots)))
        return spec

    def trade(
        self, maker: OrderSpec, taker: OrderSpec, lots: int, *, maker_left: int, taker_left: int
    ) -> Event:
        """At the maker's price; fees of 8 and 10 basis points, rounded up."""
        base, quote = Units(BTC, lots * LOT), Units(USDT, lots * maker.price_ticks)

        def side(spec: OrderSpec, ppm: int, left: int) -> TradeSide:
            received = base if spec.side is Side.BUY else quote
            fee = -(-received.units * ppm // 1_000_000)
            return TradeSide(spec.order_id, spec.account_id, Units(received.asset_id, fee), _held(spec, left))

        return self.write(
            Traded(
                trade_id=len(self.events) + 1,
                price_ticks=maker.price_ticks,
                qty_lots=lots,
                taker_side=taker.side,
                maker=side(maker, 800, maker_left),
                taker=side(taker, 1000, taker_left),
                base=base,
                quote=quote,
            )
        )

    def done(self, spec: OrderSpec, *, reason: str, lots: int, ticklots: int, left: int) -> None:
        self.write(Done(spec.order_id, reason, lots, ticklots, _held(spec, left)))

    def cross(self, seller: int, buyer: int, price: int, lots: int, *, part: int | None = None) -> None:
        """A resting sell met by a buy of `part` of it (all of it by default)."""
        part = lots if part is None else part
        maker = self.accept(seller, Side.SELL, price, lots)
        taker = self.accept(buyer, Side.BUY, price, part)
        self.trade(maker, taker, part, maker_left=lots - part, taker_left=0)
        self.done(taker, reason="FILLED", lots=part, ticklots=part * price, left=0)
        if part == lots:
            self.done(maker, reason="FILLED", lots=lots, ticklots=lots * price, left=0)


def _held(spec: OrderSpec, left: int) -> Units:
    return Units(USDT, left * spec.price_ticks) if spec.side is Side.BUY else Units(BTC, left * LOT)
