"""The way from the API to the engine: orders, cancellations, the book. Nothing here writes to PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from core.ids import new_id_numbers
from engine_bridge import numbering
from engine_bridge.adapters import notes
from engine_bridge.adapters.channel import EngineAway, EngineBusy, OutcomeUnknown
from engine_bridge.adapters.client import bridge, close_bridge
from engine_bridge.domain.commands import (
    CANCELLATION_LIFETIME_MS,
    ORDER_LIFETIME_MS,
    CancelOrder,
    PlaceOrder,
    client_mark,
    marked,
)
from engine_bridge.domain.events import Note
from engine_bridge.domain.markets import LISTINGS, worst_price
from engine_bridge.domain.orders import OrderTerms, OrderType, Side
from engine_bridge.domain.results import Result
from engine_bridge.models import Instrument

__all__ = [
    "BookView", "EngineAway", "EngineBusy", "NewOrder", "NotesDown", "OutcomeUnknown", "Placed", "book",
    "cancel", "close_bridge", "is_connected", "may_be_taken_s", "place", ]  # fmt: skip

NotesDown = notes.NotesDown
Answer: TypeAlias = Result | OutcomeUnknown
Level: TypeAlias = tuple[int, int, int]

_LARGEST_PRICE: Final = {listing.number: listing.max_price_ticks for listing in LISTINGS}


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to place. `spendable_ticklots` is what its account seems to have, for a market buy by size."""

    instrument: Instrument
    terms: OrderTerms
    spendable_ticklots: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """The number that the order was given, the terms it was sent with, and the engine's answer."""

    order_id: int
    terms: OrderTerms
    answer: Answer


@dataclass(frozen=True, slots=True)
class BookView:
    """A durable snapshot; each level is (ticks, lots, orders), best first."""

    book_seq: int
    event_seq: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


def place(account_id: int, orders: Sequence[NewOrder], *, now: datetime) -> list[Placed]:
    """Send the orders and wait for the engine's durable answers. EngineAway, EngineBusy: none was taken."""
    ready = [replace(order, terms=_collared(order)) for order in orders]
    numbers = numbering.order_numbers(len(ready))
    expires = _expiry(now, ORDER_LIFETIME_MS)
    commands = [
        PlaceOrder(
            command_id=_command_id(fresh, account_id, order.terms.client_id),
            expires_at_ms=expires,
            order_id=number,
            instrument_id=order.instrument.pk,
            account_id=account_id,
            terms=order.terms,
        )
        for fresh, number, order in zip(new_id_numbers(len(ready)), numbers, ready, strict=True)
    ]
    notes.leave([_note(command) for command in commands])
    answers = bridge().submit(commands)
    return [
        Placed(command.order_id, command.terms, answer)
        for command, answer in zip(commands, answers, strict=True)
    ]


def cancel(account_id: int, order_ids: Sequence[int], *, now: datetime) -> list[Answer]:
    """Ask the engine to cancel the account's orders; its answers, in order. EngineAway, EngineBusy."""
    expires = _expiry(now, CANCELLATION_LIFETIME_MS)
    ids = new_id_numbers(len(order_ids))
    commands = [
        CancelOrder(fresh, expires, order_id, account_id)
        for fresh, order_id in zip(ids, order_ids, strict=True)
    ]
    return bridge().submit(commands)


def may_be_taken_s(asked_at: datetime, *, now: datetime) -> float:
    """For how long the engine may still take what was asked for then and stayed unanswered."""
    return (_expiry(asked_at, ORDER_LIFETIME_MS) - now.timestamp() * 1000) / 1000


def book(instrument: Instrument, *, depth: int) -> BookView:
    """The market's book, `depth` levels a side. EngineAway."""
    frame = bridge().book(instrument.pk, depth=depth)
    return BookView(
        book_seq=frame.book_seq,
        event_seq=frame.event_seq,
        bids=tuple((level.price_ticks, level.qty_lots, level.orders) for level in frame.bids),
        asks=tuple((level.price_ticks, level.qty_lots, level.orders) for level in frame.asks),
    )


def is_connected() -> bool:
    """Whether the engine takes orders from this process."""
    return bridge().connected()


def _collared(order: NewOrder) -> OrderTerms:
    """A market order with its worst price: near the best one, and within what its account can hold for it."""
    terms = order.terms
    if terms.order_type is not OrderType.MARKET:
        return terms
    view = book(order.instrument, depth=1)
    opposite = view.asks if terms.side is Side.BUY else view.bids
    best = opposite[0][0] if opposite else 0
    worst = worst_price(terms.side, best, largest=_LARGEST_PRICE[order.instrument.pk])
    if terms.side is Side.BUY and terms.qty_lots:
        affordable = order.spendable_ticklots // terms.qty_lots
        worst = max(best, min(worst, affordable)) if best else worst
    return replace(terms, price_ticks=worst)


def _command_id(fresh: int, account_id: int, client_id: str) -> int:
    return marked(fresh, client_mark(account_id, client_id)) if client_id else fresh


def _note(command: PlaceOrder) -> Note:
    terms = command.terms
    return Note(
        order_id=command.order_id,
        account_id=command.account_id,
        instrument_id=command.instrument_id,
        client_id=terms.client_id,
        tag=terms.tag,
        side=terms.side,
        order_type=terms.order_type,
        price_ticks=terms.price_ticks,
        qty_lots=terms.qty_lots,
        budget_ticklots=terms.budget_ticklots,
        stp=terms.stp,
    )


def _expiry(now: datetime, lifetime_ms: int) -> int:
    return int(now.timestamp() * 1000) + lifetime_ms
