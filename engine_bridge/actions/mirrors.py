"""Writing the mirrors in bulk: orders, fills, balances, market states, fees. Only settlement calls these.

New rows come by COPY, changed ones by one UPDATE from arrays: a statement for a table, however many rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from django.db import connection
from django.db.models import F
from psycopg import sql

from core.copying import Among, array, copy_rows
from engine_bridge import locks
from engine_bridge.domain.events import Note, OrderSpec
from engine_bridge.domain.fees import Rates
from engine_bridge.domain.movements import Break
from engine_bridge.domain.orders import OrderType, Side, StpMode
from engine_bridge.domain.records import FEE_ACCOUNT, Changes, FillRecord, OrderRecord
from engine_bridge.models import Instrument, OrderNote, ToldFees

_SPEC: Final = (
    "account_id",
    "side",
    "order_type",
    "price_ticks",
    "qty_lots",
    "budget_ticklots",
    "stp",
    "client_mark",
)
_KEPT: Final = ("instrument_id", "created_at", "accepted_seq", "client_id", "tag")
_CHANGING: Final = {
    "price_ticks": "bigint",
    "qty_lots": "bigint",
    "state": "text",
    "cancel_source": "text",
    "held_units": "numeric",
    "filled_lots": "bigint",
    "filled_ticklots": "numeric",
    "fee_units": "numeric",
    "last_trade_id": "bigint",
    "last_price_ticks": "bigint",
    "last_qty_lots": "bigint",
    "last_fill_at": "timestamptz",
    "updated_at": "timestamptz",
}
_OWN: Final = tuple(name for name in _CHANGING if name not in _SPEC)
"""What changes of an order, less its terms."""
_RECORD: Final = tuple(part.name for part in fields(OrderRecord) if part.name != "spec")
_UNITS: Final = [_RECORD.index(name) for name in ("held_units", "filled_ticklots", "fee_units")]

_NOTE: Final = {
    "order_id": "bigint",
    "account_id": "bigint",
    "instrument_id": "integer",
    "client_id": "text",
    "tag": "text",
    "side": "text",
    "order_type": "text",
    "price_ticks": "bigint",
    "qty_lots": "bigint",
    "budget_ticklots": "bigint",
    "stp": "text",
}
_FILL: Final = (
    "id",
    "trade_id",
    "order_id",
    "account_id",
    "instrument_id",
    "side",
    "taker",
    "price_ticks",
    "qty_lots",
    "fee_units",
    "fee_asset",
    "traded_at",
    "auction",
    "fee_ppm",
)
_kept, _own, _note_fields = attrgetter(*_KEPT), attrgetter(*_OWN), attrgetter(*_NOTE)
_SIDES: Final = {side.value: side for side in Side}
_TYPES: Final = {order_type.value: order_type for order_type in OrderType}
_MODES: Final = {mode.value: mode for mode in StpMode}

_BALANCE: Final = {
    "account_id": "bigint",
    "asset": "text",
    "units": "numeric",
    "held": "numeric",
    "updated_at": "timestamptz",
}


def store_notes(found: Mapping[int, Note], *, wanted: Iterable[int]) -> dict[int, Note]:
    """Keep the notes that were found; give back those of the wanted orders, stored now or before."""
    _from_arrays(
        "INSERT INTO engine_order_note ({names}) SELECT * FROM {rows} ON CONFLICT DO NOTHING",
        _NOTE,
        [_note_fields(note) for note in found.values()],
    )
    rows = OrderNote.objects.filter(Among(F("pk"), wanted)).values_list(*_NOTE)
    return {row[0]: _note(*row) for row in rows}


def orders(ids: Iterable[int]) -> dict[int, OrderRecord]:
    """The stored orders with these ids."""
    columns = sql.SQL(", ").join(map(sql.Identifier, ("id", *_SPEC, *_RECORD)))
    query = sql.SQL("SELECT {} FROM engine_order WHERE id = ANY({})").format(columns, sql.Placeholder())
    with connection.cursor() as cursor:
        cursor.execute(query, [array(ids)])  # type: ignore[arg-type]
        return {row[0]: _record(row) for row in cursor.fetchall()}


def write_orders(records: Mapping[int, OrderRecord], *, opened: set[int]) -> None:
    """Insert the orders that entered, update the others."""
    copy_rows(
        "engine_order",
        ("id", *_SPEC, *_KEPT, *_OWN),
        [_row(number, record) for number, record in records.items() if number in opened],
    )
    _from_arrays(
        "UPDATE engine_order SET {changes} FROM {rows} AS new ({names}) WHERE engine_order.id = new.id",
        {"id": "bigint"} | _CHANGING,
        [
            (number, record.spec.price_ticks, record.spec.qty_lots, *_own(record))
            for number, record in records.items()
            if number not in opened
        ],
    )


def write_fills(records: Iterable[FillRecord]) -> None:
    """Insert the fills."""
    copy_rows(
        "engine_fill",
        _FILL,
        [
            (
                record.id,
                record.trade_id,
                record.order_id,
                record.account_id,
                record.instrument_id,
                record.side.value,
                record.taker,
                record.price_ticks,
                record.qty_lots,
                record.fee.units,
                record.fee.asset,
                record.at,
                record.auction,
                record.fee_ppm,
            )
            for record in records
        ],
    )


def write_balances(changes: Changes) -> None:
    """Add the changes of totals and holds to the mirrors; Break where one would fall below zero or its
    holds.
    """
    known = locks.balances(changes.accounts())
    rows = []
    for (account, asset), change in sorted(changes.balances.items()):
        if account == FEE_ACCOUNT:
            continue
        units, held = known.get((account, asset), (0, 0))
        units += change.total
        held += change.held
        if held < 0 or units < held:
            raise Break(f"engine account {account} would have {units} {asset} of which {held} held")
        rows.append((account, asset, units, held, change.at))
    _from_arrays(
        "INSERT INTO engine_trading_balance ({names}) SELECT * FROM {rows}"
        " ON CONFLICT (account_id, asset) DO UPDATE"
        " SET units = excluded.units, held = excluded.held, updated_at = excluded.updated_at",
        _BALANCE,
        rows,
    )


def write_states(states: Mapping[int, str]) -> None:
    """Mirror the markets' states."""
    for number, state in states.items():
        Instrument.objects.filter(pk=number).update(state=state)


def own_fees() -> dict[int, Rates]:
    """The accounts that have rates of their own in the engine, as settled."""
    rows = ToldFees.objects.exclude(maker_ppm=None).values_list("account_id", "maker_ppm", "taker_ppm")
    return {account: Rates(maker or 0, taker or 0) for account, maker, taker in rows}


def write_fees(changed: Mapping[int, tuple[Rates | None, int]]) -> None:
    """Mirror what accounts pay in the engine."""
    for account, (own, event_seq) in changed.items():
        maker, taker = own or (None, None)
        ToldFees.objects.update_or_create(
            account_id=account, defaults={"maker_ppm": maker, "taker_ppm": taker, "event_seq": event_seq}
        )


def _from_arrays(statement: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
    """Run the statement once over all rows: `{rows}` stands for them, one array for a column."""
    if not rows:
        return
    name = {column: sql.Identifier(column) for column in columns}
    arrays = [sql.SQL("{}::{}[]").format(sql.Placeholder(), sql.SQL(kind)) for kind in columns.values()]
    changes = [sql.SQL("{0} = new.{0}").format(name[column]) for column in _CHANGING if column in name]
    whole = sql.SQL(statement).format(
        names=sql.SQL(", ").join(name.values()),
        changes=sql.SQL(", ").join(changes),
        rows=sql.SQL("unnest({})").format(sql.SQL(", ").join(arrays)),
    )
    with connection.cursor() as cursor:
        cursor.execute(whole, [array(column) for column in zip(*rows, strict=True)])  # type: ignore[arg-type]


def _note(
    order_id: int, account_id: int, instrument_id: int, client_id: str, tag: str, side: str, order_type: str,
    price_ticks: int, qty_lots: int, budget_ticklots: int, stp: str,
) -> Note:  # fmt: skip
    return Note(
        order_id, account_id, instrument_id, client_id, tag, _SIDES[side], _TYPES[order_type], price_ticks,
        qty_lots, budget_ticklots, _MODES[stp],
    )  # fmt: skip


def _record(row: Sequence[Any]) -> OrderRecord:
    number, account, side, order_type, price, lots, budget, stp, mark, *kept = row
    spec = OrderSpec(
        number, account, _SIDES[side], _TYPES[order_type], price, lots, budget, _MODES[stp], mark
    )
    for at in _UNITS:
        kept[at] = int(kept[at])
    return OrderRecord(spec, *kept)


def _row(number: int, record: OrderRecord) -> tuple[Any, ...]:
    spec = record.spec
    return (
        number,
        spec.account_id,
        spec.side.value,
        spec.order_type.value,
        spec.price_ticks,
        spec.qty_lots,
        spec.budget_ticklots,
        spec.stp.value,
        spec.mark,
        *_kept(record),
        *_own(record),
    )
