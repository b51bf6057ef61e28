"""What the engine says happened, free of its wire format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from engine_bridge.domain.fees import Rates
from engine_bridge.domain.orders import OrderType, Side, StpMode


@dataclass(frozen=True, slots=True)
class Units:
    """So many smallest units of one of the engine's assets."""

    asset_id: int
    units: int


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """An order as it was taken. `mark` is 62 bits of the command's id, which stand for the client's name of
    it.
    """

    order_id: int
    account_id: int
    side: Side
    order_type: OrderType
    price_ticks: int
    qty_lots: int
    budget_ticklots: int
    stp: StpMode
    mark: int


@dataclass(frozen=True, slots=True)
class Accepted:
    spec: OrderSpec
    held: Units


@dataclass(frozen=True, slots=True)
class Rejected:
    """A business refusal. `reason` is the result code's name; what the order was is in its note."""

    order_id: int
    account_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class TradeSide:
    order_id: int
    account_id: int
    fee: Units
    held: Units


@dataclass(frozen=True, slots=True)
class Traded:
    """One match, at the maker's price: `base` from seller to buyer, `quote` back, fees out of what is
    received. In an `auction` nobody takes: the maker is the buyer, and both paid their maker's fee.
    """

    trade_id: int
    price_ticks: int
    qty_lots: int
    taker_side: Side
    maker: TradeSide
    taker: TradeSide
    base: Units
    quote: Units
    auction: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """An order left the engine: filled, or cancelled for a reason."""

    order_id: int
    reason: str
    filled_lots: int
    filled_ticklots: int
    released: Units


@dataclass(frozen=True, slots=True)
class Amended:
    order_id: int
    price_ticks: int
    qty_lots: int
    held: Units


@dataclass(frozen=True, slots=True)
class TransferClosed:
    """Money entered or left a trading account, or was refused to (`refusal` names the result code)."""

    transfer_id: UUID
    account_id: int
    into_venue: bool
    amount: Units
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentChanged:
    state: str


@dataclass(frozen=True, slots=True)
class FeesChanged:
    """From now on the account pays these; None is the market's own."""

    account_id: int
    own: Rates | None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something in the engine's own history that changes no row of ours."""


Body: TypeAlias = (
    Accepted | Rejected | Traded | Done | Amended | TransferClosed | InstrumentChanged | FeesChanged | Noted
)


@dataclass(frozen=True, slots=True)
class Event:
    event_seq: int
    engine_seq: int
    at: datetime
    instrument_id: int
    body: Body


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive durable events of one leader's epoch; without events it only says that there are none."""

    epoch: int
    first_event_seq: int
    events: tuple[Event, ...]
    newest_event_seq: int

    @property
    def last_event_seq(self) -> int:
        return self.first_event_seq + len(self.events) - 1


@dataclass(frozen=True, slots=True)
class Note:
    """What the API knows of an order and the engine does not carry; left aside for settlement to store."""

    order_id: int
    account_id: int
    instrument_id: int
    client_id: str
    tag: str
    side: Side
    order_type: OrderType
    price_ticks: int
    qty_lots: int
    budget_ticklots: int
    stp: StpMode
