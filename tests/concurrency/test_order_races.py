"""A freeze that is pulled while an order is on its way to the engine …"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import freezes
from core.freezes import checking, deeds, holding
from core.freezes.actions import pull_freeze
from core.freezes.domain.scopes import TRADER_API
from core.freezes.models import Freeze
from core.ids import new_id
from engine_bridge import gateway, queries
from engine_bridge.actions.accounts import open_account
from engine_bridge.actions.markets import list_market
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.domain.results import Result, ResultCode
from tests.concurrency.test_freezes_races import Pause
from tests.officers import Staff, enrol
from tests.racing import closing, until_waiting
from tests.treasury import ROBOT, trader
from trader_api import placing
from trader_api.authentication import Trader
from trader_api.errors import ApiError

WAIT_S = 0.4
FIRST = LISTINGS[0]
SECOND = replace(FIRST, number=2, scale=replace(FIRST.scale, symbol="BTC-USD"))


@pytest.fixture
def staff(real_database: str, now: datetime) -> Staff:
    staff = enrol(now=now)
    for listing in (FIRST, SECOND):
        list_market(listing=listing, actor=staff.sam.actor, now=now)
    return staff


def caller(name: str, now: datetime) -> Trader:
    customer = trader(name, tier=2)
    open_account(customer_id=customer.pk, now=now)
    return Trader(customer.pk, "key", frozenset({"trade"}), ROBOT, new_id(), tier=customer.tier)


def selling(symbol: str) -> dict[str, str]:
    limit = {"side": "sell", "ordType": "limit", "sz": "0.01", "px": "4000"}
    return {"instId": symbol, "tdMode": "cash", **limit}


def placed(who: Trader, symbol: str, now: datetime) -> str:
    return placing.place(who, [selling(symbol)], expires=None, now=now)[0]["sCode"]


def answered(code: ResultCode, meanwhile: Callable[[], Any]) -> Callable[..., list[Any]]:
    """The engine: it hears nothing before `meanwhile`, and then says this to each."""

    def said(number: int, orders: list[Any], *, now: datetime) -> list[Any]:
        meanwhile()
        answer = Result(code, 0, 7, 0, 0, False, 0)
        return [
            gateway.Placed(7, one.terms, answer) if isinstance(one, gateway.NewOrder) else answer
            for one in orders
        ]

    return said


def test_is_in_force_at_once_and_answered_when_none_is_on_its_way_any_more(
    staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the market, of the customer, of the API. Cancelling goes on meanwhile, and waits for nobody."""
    first, second = FIRST.scale.symbol, SECOND.scale.symbol
    monkeypatch.setattr(gateway, "cancel", answered(ResultCode.UNKNOWN_ORDER, lambda: None))
    for name, symbol, of in (
        ("Tom", first, f"market:{first}"),
        ("Tia", second, "customer:"),
        ("Ted", second, TRADER_API),
    ):
        who, pause = caller(name, now), Pause()
        scope = f"customer:{who.customer_id}" if of == "customer:" else of
        monkeypatch.setattr(gateway, "place", answered(ResultCode.BUSY, pause.here))
        pull = partial(pull_freeze, scope=scope, reason="odd", actor=staff.sam.actor, now=now)
        with ThreadPoolExecutor(2) as beside:
            try:
                order = beside.submit(closing(partial(placed, who, symbol, now)))
                pause.until_there(order)
                pulled = beside.submit(closing(pull))
                until_waiting([pulled])
                waits = not pulled.done()
                assert Freeze.objects.filter(scope=scope).exists()
                (ack,) = placing.cancel(who, [{"ordId": "7"}], now=now)
            finally:
                pause.end()
            assert (order.result(), ack["sCode"]) == ("50013", "51400")
            pulled.result()
        assert waits, f"{scope} was answered while an order was on its way"


def test_lets_none_through_that_was_found_free_before(
    staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at once more with the order; and where something is just being frozen, nothing is sent."""
    who, sent = caller("Tom", now), []
    monkeypatch.setattr(gateway, "place", answered(ResultCode.BUSY, lambda: sent.append(1)))
    account_of, stopped = queries.account_of, f"customer:{who.customer_id}"

    def frozen_meanwhile(customer_id: Any) -> Any:
        pull_freeze(scope=stopped, reason="odd", actor=staff.sam.actor, now=now)
        return account_of(customer_id)

    symbol, pause = FIRST.scale.symbol, Pause()
    monkeypatch.setattr(queries, "account_of", frozen_meanwhile)
    with pytest.raises(freezes.Frozen):
        placed(who, symbol, now)
    monkeypatch.undo()
    monkeypatch.setattr(gateway, "place", answered(ResultCode.BUSY, pause.here))
    who = caller("Tia", now)
    with ThreadPoolExecutor(2) as beside:
        try:
            order = beside.submit(closing(partial(placed, who, symbol, now)))
            pause.until_there(order)
            pulled = beside.submit(closing(partial(holding.await_others, {TRADER_API})))
            until_waiting([pulled])
            with pytest.raises(checking.BeingFrozen):
                placed(who, symbol, now)
        finally:
            pause.end()
        assert order.result() == "50013"
        pulled.result()
    assert (sent, placed(who, symbol, now)) == ([], "50013")


def test_is_answered_when_the_engine_cannot_take_any_more_whose_outcome_nobody_knows(
    staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the connection that stays behind for it or, where enough do, by whoever placed it."""
    who = caller("Tom", now)

    def unknown(number: int, orders: list[Any], *, now: datetime) -> list[Any]:
        return [gateway.Placed(7, one.terms, gateway.OutcomeUnknown()) for one in orders]

    monkeypatch.setattr(gateway, "place", unknown)
    monkeypatch.setattr(gateway, "may_be_taken_s", lambda asked_at, *, now: WAIT_S)
    monkeypatch.setattr(deeds, "_places", threading.BoundedSemaphore(1))
    for left in (True, False):
        began = time.monotonic()
        with pytest.raises(ApiError, match="unknown"):
            placed(who, FIRST.scale.symbol, now)
        if left:
            assert not deeds._places.acquire(blocking=False)
            holding.await_others({TRADER_API})
            assert deeds._places.acquire(timeout=60)
        assert time.monotonic() - began >= WAIT_S


@pytest.mark.parametrize("count", [1, 3])
def test_costs_the_database_as_many_messages_however_many_orders_there_are(
    staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Markets, what is frozen, the account, names in use; what is frozen once it is held; and let go."""
    who = caller("Tom", now)
    monkeypatch.setattr(gateway, "place", answered(ResultCode.BUSY, lambda: None))
    orders = [selling(FIRST.scale.symbol) | {"clOrdId": f"tom{number}"} for number in range(count)]
    with CaptureQueriesContext(connection) as asked:
        placing.place(who, orders, expires=None, now=now)
    assert len(asked) == 6, [one["sql"] for one in asked]
