"""Writing the mirrors in bulk: orders, fills, balances, market states. Only settlement calls these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from engine_bridge import locks
from engine_bridge.domain.events import Note, OrderSpec
from engine_bridge.domain.movements import Break
from engine_bridge.domain.orders import OrderType, Side, StpMode
from engine_bridge.domain.records import FEE_ACCOUNT, Changes, FillRecord, OrderRecord
from engine_bridge.models import Fill, Instrument, Order, OrderNote, TradingBalance

_CHANGING: Final = (
    "price_ticks",
    "qty_lots",
    "state",
    "cancel_source",
    "held_units",
    "filled_lots",
    "filled_ticklots",
    "fee_units",
    "last_trade_id",
    "last_price_ticks",
    "last_qty_lots",
    "last_fill_at",
    "updated_at",
)


def store_notes(found: Mapping[int, Note], *, wanted: Iterable[int]) -> dict[int, Note]:
    """Keep the notes that were found; give back those of the wanted orders, stored now or before."""
    OrderNote.objects.bulk_create(
        [OrderNote(**asdict(note)) for note in found.values()], ignore_conflicts=True
    )
    return {row.order_id: _note(row) for row in OrderNote.objects.filter(pk__in=set(wanted))}


def orders(ids: Iterable[int]) -> dict[int, OrderRecord]:
    """The stored orders with these ids."""
    return {row.pk: _record(row) for row in Order.objects.filter(pk__in=set(ids))}


def write_orders(records: Mapping[int, OrderRecord], *, opened: set[int]) -> None:
    """Insert the orders that entered, update the others."""
    rows = {number: _order(number, record) for number, record in records.items()}
    Order.objects.bulk_create(row for number, row in rows.items() if number in opened)
    # An upsert of rows that are known to exist: one plain statement, where bulk_update writes a CASE
    # per cell.
    Order.objects.bulk_create(
        (row for number, row in rows.items() if number not in opened),
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=_CHANGING,
    )


def write_fills(records: Iterable[FillRecord]) -> None:
    """Insert the fills."""
    Fill.objects.bulk_create(
        Fill(
            id=record.id,
            trade_id=record.trade_id,
            order_id=record.order_id,
            account_id=record.account_id,
            instrument_id=record.instrument_id,
            side=record.side,
            taker=record.taker,
            price_ticks=record.price_ticks,
            qty_lots=record.qty_lots,
            fee_units=record.fee.units,
            fee_asset=record.fee.asset,
            traded_at=record.at,
        )
        for record in records
    )


def write_balances(changes: Changes) -> None:
    """Add the changes of totals and holds to the mirrors; Break where one would fall below zero or its
    holds.
    """
    known = locks.balances(changes.accounts())
    rows: list[TradingBalance] = []
    for key, moment in sorted(changes.moments.items()):
        account, asset = key
        if account == FEE_ACCOUNT:
            continue
        row = known.get(key) or TradingBalance(account_id=account, asset=asset)
        row.units += changes.totals[key]
        row.held += changes.holds[key]
        row.updated_at = moment
        if row.held < 0 or row.units < row.held:
            raise Break(f"engine account {account} would have {row.units} {asset} of which {row.held} held")
        rows.append(row)
    TradingBalance.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "asset"],
        update_fields=["units", "held", "updated_at"],
    )


def write_states(states: Mapping[int, str]) -> None:
    """Mirror the markets' states."""
    for number, state in states.items():
        Instrument.objects.filter(pk=number).update(state=state)


def _note(row: OrderNote) -> Note:
    return Note(
        order_id=row.order_id,
        account_id=row.account_id,
        instrument_id=row.instrument_id,
        client_id=row.client_id,
        tag=row.tag,
        side=Side(row.side),
        order_type=OrderType(row.order_type),
        price_ticks=row.price_ticks,
        qty_lots=row.qty_lots,
        budget_ticklots=row.budget_ticklots,
        stp=StpMode(row.stp),
    )


def _record(row: Order) -> OrderRecord:
    spec = OrderSpec(
        order_id=row.pk,
        account_id=row.account_id,
        side=Side(row.side),
        order_type=OrderType(row.order_type),
        price_ticks=row.price_ticks,
        qty_lots=row.qty_lots,
        budget_ticklots=row.budget_ticklots,
        stp=StpMode(row.stp),
        mark=row.client_mark,
    )
    same: dict[str, Any] = {name: getattr(row, name) for name in _SAME}
    return OrderRecord(spec=spec, **same)


_SAME: Final = (
    "instrument_id",
    "created_at",
    "updated_at",
    "accepted_seq",
    "client_id",
    "tag",
    "state",
    "cancel_source",
    "held_units",
    "filled_lots",
    "filled_ticklots",
    "fee_units",
    "last_trade_id",
    "last_price_ticks",
    "last_qty_lots",
    "last_fill_at",
)


def _order(number: int, record: OrderRecord) -> Order:
    spec = record.spec
    return Order(
        id=number,
        account_id=spec.account_id,
        side=spec.side,
        order_type=spec.order_type,
        price_ticks=spec.price_ticks,
        qty_lots=spec.qty_lots,
        budget_ticklots=spec.budget_ticklots,
        stp=spec.stp,
        client_mark=spec.mark,
        **{name: getattr(record, name) for name in _SAME},
    )
