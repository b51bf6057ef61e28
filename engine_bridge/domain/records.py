"""What settlement writes, as plain records: orders, fills, balance changes and journal entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from engine_bridge.domain.events import OrderSpec
from engine_bridge.domain.fees import Rates
from engine_bridge.domain.orders import Side
from kernel.money import Amount

FEE_ACCOUNT: Final = 0
"""The engine's number of the venue's own account."""


@dataclass(slots=True)
class OrderRecord:
    """An order as its mirror row holds it. `held_units` are of the asset that it pays with."""

    spec: OrderSpec
    instrument_id: int
    created_at: datetime
    updated_at: datetime
    accepted_seq: int
    client_id: str = ""
    tag: str = ""
    state: str = "live"
    cancel_source: str = ""
    held_units: int = 0
    filled_lots: int = 0
    filled_ticklots: int = 0
    fee_units: int = 0
    last_trade_id: int = 0
    last_price_ticks: int = 0
    last_qty_lots: int = 0
    last_fill_at: datetime | None = None


class FillRecord(NamedTuple):
    """One side of a trade. A tuple, as thousands are made in a batch."""

    id: int
    trade_id: int
    order_id: int
    account_id: int
    instrument_id: int
    side: Side
    taker: bool
    price_ticks: int
    qty_lots: int
    fee: Amount
    at: datetime
    auction: bool = False
    fee_ppm: int | None = None


class TradeEntry(NamedTuple):
    """A trade's postings: account number (0 is the venue's own), asset, units; they sum to zero per asset."""

    trade_id: int
    legs: tuple[tuple[int, str, int], ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class TransferEntry:
    """A transfer's end. `refusal` is empty where the money moved."""

    transfer_id: UUID
    account_id: int
    amount: Amount
    into_venue: bool
    refusal: str
    event_seq: int
    at: datetime


@dataclass(slots=True)
class BalanceChange:
    """What a balance gained in all, what more of it stands behind orders, and when it last changed."""

    total: int
    held: int
    at: datetime


@dataclass(slots=True)
class Changes:
    """Everything that one run of events changes."""

    orders: dict[int, OrderRecord] = field(default_factory=dict)
    fills: list[FillRecord] = field(default_factory=list)
    entries: list[TradeEntry | TransferEntry] = field(default_factory=list)
    balances: dict[tuple[int, str], BalanceChange] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    fees: dict[int, tuple[Rates | None, int]] = field(default_factory=dict)
    """By account: its own rates, and the event that told of them."""

    def add(self, account: int, asset: str, at: datetime, *, total: int = 0, held: int = 0) -> None:
        """Change one balance."""
        change = self.balances.get((account, asset))
        if change is None:
            self.balances[account, asset] = BalanceChange(total, held, at)
        else:
            change.total += total
            change.held += held
            change.at = at

    def accounts(self) -> set[int]:
        """The engine's numbers of everybody whose money or orders change."""
        return {account for account, _ in self.balances} - {FEE_ACCOUNT}
