"""The bookkeeper of the venue ..."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_bridge.domain.bookkeeping import Bookkeeper, orders_opened, orders_touched
from engine_bridge.domain.commands import client_mark
from engine_bridge.domain.events import Amended, Event, FeesChanged, Note, Rejected, Traded, TradeSide, Units
from engine_bridge.domain.fees import Rates
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.domain.movements import Break, Difference, differences, of_events
from engine_bridge.domain.orders import OrderType, Side, StpMode
from engine_bridge.domain.records import FEE_ACCOUNT, Changes, OrderRecord, TradeEntry
from tests.events import BTC, USDT, Tape

SCALES = {listing.number: listing.scale for listing in LISTINGS}

crosses = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(4, 6),
        st.integers(1, 10**6),
        st.integers(1, 10**6),
        st.integers(1, 100),
    ),
    min_size=1,
    max_size=6,
)


def tape_of(deals: list[tuple[int, int, int, int, int]]) -> Tape:
    tape = Tape()
    tape.open_market()
    for seller, buyer, price, lots, percent in deals:
        tape.cross(seller, buyer, price, lots, part=max(1, lots * percent // 100))
    return tape


def keep(events: list[Event], orders: dict[int, OrderRecord] | None = None) -> Changes:
    keeper = Bookkeeper(orders=orders or {}, notes={}, scales=SCALES)
    for event in events:
        keeper.apply(event)
    return keeper.changes


@given(crosses)
def test_writes_entries_that_sum_to_zero(deals: list[tuple[int, int, int, int, int]]) -> None:
    for entry in keep(tape_of(deals).events).entries:
        assert isinstance(entry, TradeEntry)
        sums: defaultdict[str, int] = defaultdict(int)
        for _, asset, units in entry.legs:
            sums[asset] += units
            assert units != 0
        assert not any(sums.values())


@given(crosses)
def test_moves_in_all_what_its_entries_move(deals: list[tuple[int, int, int, int, int]]) -> None:
    tape = tape_of(deals)
    changes = keep(tape.events)
    posted: defaultdict[tuple[int, str], int] = defaultdict(int)
    for entry in changes.entries:
        assert isinstance(entry, TradeEntry)
        for account, asset, units in entry.legs:
            posted[account, asset] += units
    moved = {key: change.total for key, change in changes.balances.items() if change.total}
    assert {key: units for key, units in posted.items() if units} == moved
    assert {key: units for key, units in of_events(tape.events).items() if units} == moved
    assert all(units >= 0 for (account, _), units in moved.items() if account == FEE_ACCOUNT)


def test_tells_of_each_fill_what_its_account_paid_by_then() -> None:
    """Rates of its own count until the engine tells that it pays the market's again."""
    tape = Tape()
    for own in (Rates(600, 800), None):
        tape.write(FeesChanged(4, own), instrument=0)
        tape.cross(1, 4, 400_000, 10)
    told = [(fill.account_id, fill.fee_ppm) for fill in keep(tape.events).fills]
    assert told == [(1, None), (4, 800), (1, None), (4, None)]


@given(crosses, st.data())
def test_writes_the_same_however_the_events_are_cut(
    deals: list[tuple[int, int, int, int, int]], data: st.DataObject
) -> None:
    whole = keep(tape_of(deals).events)
    events = tape_of(deals).events
    cut = data.draw(st.integers(0, len(events)))
    first = keep(events[:cut])
    carried = {
        number: record for number, record in first.orders.items() if number in orders_touched(events[cut:])
    }
    second = keep(events[cut:], carried)
    assert first.orders | second.orders == whole.orders
    assert [*first.fills, *second.fills] == whole.fills
    for (account, asset), change in second.balances.items():
        first.add(account, asset, change.at, total=change.total, held=change.held)
    assert first.balances == whole.balances


@given(crosses)
def test_holds_what_stands_in_open_orders_and_nothing_else(
    deals: list[tuple[int, int, int, int, int]],
) -> None:
    changes = keep(tape_of(deals).events)
    for (account, asset), change in changes.balances.items():
        open_units = sum(
            record.held_units
            for record in changes.orders.values()
            if record.spec.account_id == account and (record.spec.side is Side.SELL) == (asset == "BTC")
        )
        assert change.held == open_units
    for record in changes.orders.values():
        left = record.spec.qty_lots - record.filled_lots
        assert (record.state == "filled", record.cancel_source) == (left == 0, "")


def a_trade(**changes: Any) -> tuple[list[Event], Event]:
    tape = Tape()
    tape.cross(1, 2, 400_000, 10, part=4)
    events = tape.events[:3]
    body = events[2].body
    assert isinstance(body, Traded)
    return events[:2], replace(events[2], body=replace(body, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"base": Units(BTC, 1)},
        {"quote": Units(USDT, 1)},
        {"base": Units(9, 4_000)},
        {"qty_lots": 5},
        {"price_ticks": 1},
        {"taker_side": Side.SELL},
        {"maker": TradeSide(1, 3, Units(USDT, 0), Units(BTC, 6_000))},
        {"taker": TradeSide(2, 3, Units(BTC, 0), Units(USDT, 0))},
        {"maker": TradeSide(1, 1, Units(BTC, 1), Units(BTC, 6_000))},
        {"taker": TradeSide(2, 2, Units(USDT, 1), Units(USDT, 0))},
        {
            "taker_side": Side.SELL,
            "maker": TradeSide(1, 1, Units(BTC, 1), Units(BTC, 6_000)),
            "taker": TradeSide(2, 2, Units(USDT, 1), Units(USDT, 0)),
        },
    ],
)
def test_stops_at_a_trade_that_cannot_be_true(changes: dict[str, Any]) -> None:
    before, trade = a_trade(**changes)
    with pytest.raises(Break):
        keep([*before, trade])


def test_stops_at_orders_and_markets_that_it_never_saw() -> None:
    before, trade = a_trade()
    with pytest.raises(Break):
        keep([trade])
    with pytest.raises(Break):
        keep([*before, replace(trade, instrument_id=7)])


def test_stops_at_an_end_that_tells_other_fills() -> None:
    tape = Tape()
    maker = tape.accept(1, Side.SELL, 400_000, 10)
    tape.done(maker, reason="CANCELLED", lots=1, ticklots=400_000, left=10)
    with pytest.raises(Break):
        keep(tape.events)
    tape = Tape()
    maker = tape.accept(1, Side.SELL, 400_000, 10)
    tape.done(maker, reason="CANCELLED", lots=0, ticklots=1, left=10)
    with pytest.raises(Break):
        keep(tape.events)
    tape = Tape()
    maker = tape.accept(1, Side.SELL, 400_000, 10)
    tape.done(maker, reason="CANCELLED", lots=0, ticklots=0, left=9)
    with pytest.raises(Break):
        keep(tape.events)


def test_adds_up_what_several_trades_fill_of_an_order_and_what_an_amendment_changes() -> None:
    tape = Tape()
    maker = tape.accept(1, Side.SELL, 400_000, 10)
    for lots, left in ((3, 7), (2, 5)):
        taker = tape.accept(2, Side.BUY, 400_000, lots)
        tape.trade(maker, taker, lots, maker_left=left, taker_left=0)
    amended = tape.write(Amended(maker.order_id, 410_000, 9, Units(BTC, 4_000)))
    found = keep(tape.events).orders[maker.order_id]
    last = tape.events[-2]
    assert (found.filled_lots, found.filled_ticklots) == (5, 5 * 400_000)
    # 8 basis points of 1,200,000 and of 800,000 units.
    assert found.fee_units == 960 + 640
    assert (found.last_price_ticks, found.last_qty_lots, found.last_fill_at) == (400_000, 2, last.at)
    assert (found.spec.price_ticks, found.spec.qty_lots, found.held_units) == (410_000, 9, 4_000)
    assert (found.state, found.updated_at) == ("partially_filled", amended.at)


def test_counts_a_refused_transfer_as_nothing() -> None:
    tape = Tape()
    tape.transfer(uuid4(), 1, BTC, 5, into=False, refusal="INSUFFICIENT_BALANCE")
    tape.transfer(uuid4(), 1, BTC, 7)
    changes = keep(tape.events)
    totals = {key: change.total for key, change in changes.balances.items()}
    assert (totals, len(changes.entries)) == ({(1, "BTC"): 7}, 2)


def test_leaves_out_refused_orders_that_nobody_was_told_of() -> None:
    tape = Tape()
    tape.write(Rejected(1, 1, "INSUFFICIENT_BALANCE"))
    tape.write(Rejected(2, 1, "WOULD_TAKE"))
    assert keep(tape.events).orders == {}
    assert orders_opened(tape.events) == {2}


def test_tells_a_refused_order_as_canceled_to_its_owner_alone() -> None:
    note = Note(1, 7, 1, "mine", "tag", Side.BUY, OrderType.POST_ONLY, 400_000, 10, 0, StpMode.CANCEL_BOTH)

    def told(account: int) -> dict[int, OrderRecord]:
        keeper = Bookkeeper(orders={}, notes={1: note}, scales=SCALES)
        keeper.apply(Tape().write(Rejected(1, account, "WOULD_TAKE")))
        return keeper.changes.orders

    assert told(8) == {}
    found = told(7)[1]
    assert (found.state, found.cancel_source, found.client_id, found.tag) == ("canceled", "31", "mine", "tag")
    assert (found.spec.mark, found.held_units) == (client_mark(7, "mine"), 0)


def test_names_every_balance_that_differs() -> None:
    engine = {(1, "BTC"): 5, (1, "USDT"): 1, (2, "BTC"): 3}
    ledger = {(1, "BTC"): 5, (1, "USDT"): 2, (3, "BTC"): 4}
    assert differences(engine=engine, ledger=ledger) == (
        Difference(1, "USDT", 1, 2),
        Difference(2, "BTC", 3, 0),
        Difference(3, "BTC", 0, 4),
    )
    assert differences(engine=engine, ledger=engine) == ()
