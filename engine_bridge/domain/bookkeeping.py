"""From the engine's events to what must be written: orders, fills, balances and journal entries. Pure.

The engine's amounts are taken as they come, and checked against the scales that we list the market under: a
disagreement stops settlement before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from engine_bridge.domain import movements
from engine_bridge.domain.commands import client_mark
from engine_bridge.domain.events import (
    Accepted,
    Amended,
    Done,
    Event,
    FeesChanged,
    InstrumentChanged,
    Note,
    OrderSpec,
    Rejected,
    Traded,
    TradeSide,
    TransferClosed,
)
from engine_bridge.domain.fees import Rates
from engine_bridge.domain.instruments import Scale
from engine_bridge.domain.movements import Break, amount
from engine_bridge.domain.orders import Side
from engine_bridge.domain.records import (
    Changes,
    FillRecord,
    OrderRecord,
    TradeEntry,
    TransferEntry,
)
from engine_bridge.domain.results import CANCELED_AT_ONCE, DONE_SOURCES, FILLED_REASONS, ResultCode
from kernel.money import Amount


def orders_opened(events: Iterable[Event]) -> set[int]:
    """The ids of the orders that enter with these events, taken or told as canceled.

    Others that were refused leave no row: their number may be that of an order which rests.
    """
    found: set[int] = set()
    for event in events:
        match event.body:
            case Accepted(spec=spec):
                found.add(spec.order_id)
            case Rejected(order_id=order_id, reason=reason) if reason in CANCELED_AT_ONCE:
                found.add(order_id)
    return found


def orders_touched(events: Iterable[Event]) -> set[int]:
    """The ids of the orders that these events change after their entry."""
    found: set[int] = set()
    for event in events:
        match event.body:
            case Traded(maker=maker, taker=taker):
                found |= {maker.order_id, taker.order_id}
            case Done(order_id=order_id) | Amended(order_id=order_id):
                found.add(order_id)
    return found


class Bookkeeper:
    """Applies events in order. `orders` are those touched, as they were before; `notes` those of orders
    entering; `fees` the accounts that have rates of their own by then.
    """

    def __init__(
        self,
        *,
        orders: Mapping[int, OrderRecord],
        notes: Mapping[int, Note],
        scales: Mapping[int, Scale],
        fees: Mapping[int, Rates] | None = None,
    ) -> None:
        self._orders = orders
        self._notes = notes
        self._scales = scales
        self._fees = dict(fees or {})
        self._ticklot_units = {number: scale.ticklot_units for number, scale in scales.items()}
        self.changes = Changes()

    def apply(self, event: Event) -> None:
        """Take in one event; Break where it cannot be true."""
        match event.body:
            case Accepted():
                self._accept(event, event.body)
            case Rejected():
                self._reject(event, event.body)
            case Traded():
                self._trade(event, event.body)
            case Done():
                self._done(event, event.body)
            case Amended():
                record = self._find(event.body.order_id)
                record.spec = replace(
                    record.spec, price_ticks=event.body.price_ticks, qty_lots=event.body.qty_lots
                )
                record.updated_at = event.at
                self._set_held(record, event.body.held.units)
            case TransferClosed():
                self._transfer(event, event.body)
            case InstrumentChanged(state=state):
                self.changes.states[event.instrument_id] = state
            case FeesChanged(account_id=account, own=own):
                self.changes.fees[account] = (own, event.event_seq)
                self._fees.pop(account, None)
                if own is not None:
                    self._fees[account] = own

    def _accept(self, event: Event, body: Accepted) -> None:
        record = OrderRecord(body.spec, event.instrument_id, event.at, event.at, event.event_seq)
        note = self._notes.get(body.spec.order_id)
        if note is not None and note.account_id == body.spec.account_id:
            record.client_id, record.tag = note.client_id, note.tag
        self.changes.orders[body.spec.order_id] = record
        self._set_held(record, body.held.units)

    def _reject(self, event: Event, body: Rejected) -> None:
        """Post-only and the like: the client was told "accepted", and must find the order canceled."""
        source = CANCELED_AT_ONCE.get(ResultCode(body.reason))
        note = self._notes.get(body.order_id)
        if source is None or note is None or note.account_id != body.account_id:
            return
        spec = OrderSpec(
            order_id=note.order_id,
            account_id=note.account_id,
            side=note.side,
            order_type=note.order_type,
            price_ticks=note.price_ticks,
            qty_lots=note.qty_lots,
            budget_ticklots=note.budget_ticklots,
            stp=note.stp,
            mark=client_mark(note.account_id, note.client_id) if note.client_id else 0,
        )
        record = OrderRecord(spec, note.instrument_id, event.at, event.at, event.event_seq)
        record.client_id, record.tag = note.client_id, note.tag
        record.state, record.cancel_source = "canceled", source
        self.changes.orders[note.order_id] = record

    def _trade(self, event: Event, trade: Traded) -> None:
        scale = self._scales.get(event.instrument_id)
        if scale is None:
            raise Break(
                f"trade {trade.trade_id} in instrument {event.instrument_id}, which is not listed here"
            )
        base, quote = amount(trade.base), amount(trade.quote)
        ticklots = trade.price_ticks * trade.qty_lots
        told = (base.units, base.asset, quote.units, quote.asset)
        due = trade.qty_lots * scale.lot_units, ticklots * self._ticklot_units[event.instrument_id]
        if told != (due[0], scale.base, due[1], scale.quote):
            raise Break(f"trade {trade.trade_id} does not follow the scales of {scale.symbol}")
        for taker, part in ((False, trade.maker), (True, trade.taker)):
            side = trade.taker_side if taker else trade.taker_side.opposite
            received = base if side is Side.BUY else quote
            fee = amount(part.fee) if part.fee.units else Amount(0, received.asset)
            if fee.asset != received.asset:
                raise Break(f"trade {trade.trade_id} takes a fee in {fee.asset}, not in what is received")
            self._fill(event, trade, part, side=side, taker=taker, fee=fee, ticklots=ticklots)
        legs = movements.of_sums(trade, base, quote)
        for (account, code), units in legs.items():
            self.changes.add(account, code, event.at, total=units)
        kept = tuple((account, code, units) for (account, code), units in sorted(legs.items()) if units)
        if kept:
            self.changes.entries.append(TradeEntry(trade.trade_id, kept, event.at))

    def _fill(
        self,
        event: Event,
        trade: Traded,
        part: TradeSide,
        *,
        side: Side,
        taker: bool,
        fee: Amount,
        ticklots: int,
    ) -> None:
        record = self._find(part.order_id)
        if record.spec.account_id != part.account_id or record.spec.side is not side:
            raise Break(f"trade {trade.trade_id} names another account or side for order {part.order_id}")
        record.filled_lots += trade.qty_lots
        record.filled_ticklots += ticklots
        record.fee_units += fee.units
        record.last_trade_id, record.last_price_ticks = trade.trade_id, trade.price_ticks
        record.last_qty_lots = trade.qty_lots
        record.last_fill_at = record.updated_at = event.at
        record.state = "partially_filled"
        self._set_held(record, part.held.units)
        own = self._fees.get(part.account_id)
        takes = taker and not trade.auction
        self.changes.fills.append(
            FillRecord(
                id=2 * trade.trade_id + int(taker),
                trade_id=trade.trade_id,
                order_id=part.order_id,
                account_id=part.account_id,
                instrument_id=event.instrument_id,
                side=side,
                taker=taker,
                price_ticks=trade.price_ticks,
                qty_lots=trade.qty_lots,
                fee=fee,
                at=event.at,
                auction=trade.auction,
                fee_ppm=None if own is None else own.taker_ppm if takes else own.maker_ppm,
            )
        )

    def _done(self, event: Event, body: Done) -> None:
        record = self._find(body.order_id)
        if (record.filled_lots, record.filled_ticklots) != (body.filled_lots, body.filled_ticklots):
            raise Break(f"order {body.order_id} ended with other fills than were told")
        if record.held_units != body.released.units:
            raise Break(
                f"order {body.order_id} released {body.released.units}, but {record.held_units} were held"
            )
        filled = body.reason in FILLED_REASONS
        record.state = "filled" if filled else "canceled"
        record.cancel_source = "" if filled else DONE_SOURCES.get(body.reason, "0")
        record.updated_at = event.at
        self._set_held(record, 0)

    def _transfer(self, event: Event, body: TransferClosed) -> None:
        moved = amount(body.amount)
        for (account, code), units in movements.of_transfer(body).items():
            self.changes.add(account, code, event.at, total=units)
        self.changes.entries.append(
            TransferEntry(
                body.transfer_id,
                body.account_id,
                moved,
                body.into_venue,
                body.refusal,
                event.event_seq,
                event.at,
            )
        )

    def _find(self, order_id: int) -> OrderRecord:
        record = self.changes.orders.get(order_id) or self._orders.get(order_id)
        if record is None:
            raise Break(f"order {order_id} was never accepted")
        self.changes.orders[order_id] = record
        return record

    def _set_held(self, record: OrderRecord, units: int) -> None:
        scale = self._scales.get(record.instrument_id)
        if scale is None:
            raise Break(
                f"order {record.spec.order_id} is in instrument {record.instrument_id}, not listed here"
            )
        paid_with = scale.quote if record.spec.side is Side.BUY else scale.base
        held = units - record.held_units
        self.changes.add(record.spec.account_id, paid_with, record.updated_at, held=held)
        record.held_units = units
