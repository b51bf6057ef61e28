"""Two at once at the venue's edge ..."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from core import clock
from core.actor import Actor
from core.ledger.invariants import broken
from customers.models import ApiKey
from engine_bridge import numbering, queries
from engine_bridge.actions import settle_batch, start_transfer
from engine_bridge.actions.accounts import open_account
from engine_bridge.actions.markets import list_market
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.models import Fill, Transfer
from kernel.money import Amount
from tests.events import BTC, USDT, Tape
from tests.traders import enrol
from tests.trading import account, maker
from tests.venue import give, venue_open
from trader_api import placing
from trader_api.authentication import Trader as Caller

pytestmark = pytest.mark.slow


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What each of the threads got, all started at one barrier; an exception counts as its name."""
    barrier = threading.Barrier(count)
    outcomes: list[Any] = [None] * count

    def work(index: int) -> None:
        barrier.wait()
        try:
            outcomes[index] = act(index)
        except Exception as error:  # noqa: BLE001 - the outcome is what is looked at
            outcomes[index] = type(error).__name__
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_settle_each_batch_once(real_database: str, robot: Actor, now: datetime) -> None:
    list_market(listing=LISTINGS[0], actor=robot, now=now)
    tom, tia = enrol("Tom", now=now), enrol("Tia", now=now)
    tape = Tape()
    tape.open_market()
    for trader, asset, code, units in ((tom, BTC, "BTC", 10**8), (tia, USDT, "USDT", 10**11)):
        open_account(customer_id=trader.customer.pk, now=now)
        give(trader.customer.pk, "200000", code)
        amount = Amount(units, code)
        row = start_transfer(
            customer_id=trader.customer.pk, amount=amount, into_venue=True, actor=trader.actor, now=now
        )
        tape.transfer(row.pk, account(trader).pk, asset, units)
    begin = len(tape.events)
    for _ in range(5):
        tape.cross(account(tom).pk, account(tia).pk, 400_000, 10)
    settle_batch(batch=tape.batch(1, begin), notes={}, actor=robot, now=now)
    for first in range(begin + 1, len(tape.events) + 1, 5):
        batch = tape.batch(first, first + 4)

        def act(index: int, batch: Any = batch) -> None:
            settle_batch(batch=batch, notes={}, actor=robot, now=now)

        assert at_once(3, act) == [None, None, None]
    assert (Fill.objects.count(), queries.settlement().last_event_seq) == (10, len(tape.events))
    assert not any(broken().values())


def test_start_one_transfer_for_one_client_id(real_database: str, now: datetime) -> None:
    tom = enrol("Tom", now=now)
    give(tom.customer.pk, "1", "BTC")
    for number in range(5):

        def act(index: int, number: int = number) -> Any:
            return start_transfer(
                customer_id=tom.customer.pk,
                amount=Amount(7, "BTC"),
                into_venue=True,
                client_id=f"t{number}",
                actor=tom.actor,
                now=now,
            ).pk

        assert len(set(at_once(4, act))) == 1
    assert Transfer.objects.count() == 5
    assert not any(broken().values())


def test_place_one_order_for_one_client_order_id(real_database: str) -> None:
    with venue_open() as venue:
        tom = maker(venue)
        key = ApiKey.objects.get(key=tom.key)
        caller = Caller(tom.customer.pk, tom.key, frozenset({"read", "trade"}), tom.actor, key.pk, tier=2)
        for number in range(5):
            order = {"instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "limit", "sz":
            "0.001", "px": "40000", "clOrdId": f"mine{number}"}  # fmt: skip

            def act(index: int, order: dict[str, str] = order) -> str:
                return placing.place(caller, [order], expires=None, now=clock.now())[0]["sCode"]

            assert sorted(at_once(4, act)) == ["0", "51016", "51016", "51016"]
        venue.settle()
        assert queries.orders(account(tom), is_open=True).count() == 5


def test_wait_for_no_thread_of_a_parents_and_take_no_number_of_its(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is forked in the moment in which its parent takes numbers."""
    monkeypatch.setattr(numbering, "_block", numbering._Block())
    monkeypatch.setattr(numbering, "_reserve", lambda: 1_000)
    assert numbering.order_numbers(2) == [1_000, 1_001]
    with numbering._block._lock:
        child = os.fork()
        if child == 0:
            free = numbering._block._lock.acquire(blocking=False)
            os._exit(0 if free and numbering._block._next == numbering._block._end else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert numbering.order_numbers(1) == [1_002]
