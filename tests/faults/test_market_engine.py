"""The bridge, when something dies, ..."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Iterator, Sized
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from core import clock
from core.actor import system
from core.ledger import AccountKind
from engine_bridge import gateway, queries
from engine_bridge.actions import clear_mirrors
from engine_bridge.adapters import feed
from engine_bridge.adapters.channel import EngineAway, EngineBusy, OutcomeUnknown, open_channel
from engine_bridge.adapters.feed import Page, balances_of, place_of
from engine_bridge.comparing import NotCompared, compare, said
from engine_bridge.domain.orders import read
from engine_bridge.domain.results import Result, ResultCode
from engine_bridge.models import Fill, Instrument, Order
from engine_bridge.wire import admin_pb2_grpc, types_pb2
from kernel.money import Amount
from tests.reconciling import book
from tests.roles import as_role
from tests.traders import Trader
from tests.trading import (
    account,
    code_of,
    maker,
    mirrors,
    place,
    sound,
    taker,
    terms,
    trading,
    until,
)
from tests.venue import Venue, binary, give, venue_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def venue(db: None) -> Iterator[Venue]:
    with venue_open() as opened:
        yield opened


@pytest.fixture
def market(venue: Venue) -> Instrument:
    return Instrument.objects.get(symbol="BTC-USDT")


@pytest.fixture
def tom(venue: Venue) -> Trader:
    return maker(venue)


@pytest.fixture
def tia(venue: Venue) -> Trader:
    return taker(venue)


def test_keeps_answers_apart_under_many_threads(venue: Venue, tom: Trader) -> None:
    number = account(tom).pk
    market = Instrument.objects.get(pk=1)
    seen: list[tuple[str, str]] = []
    barrier = threading.Barrier(8)

    def work(index: int) -> None:
        barrier.wait()
        for step in range(25):
            size = f"0.{index + 1:03d}{step + 1:02d}"
            order = read(
                {"side": "sell", "ordType": "limit", "sz": size, "px": "90000", "tdMode": "cash"},
                market.scale,
            )
            placed = gateway.place(number, [gateway.NewOrder(market, order)], now=clock.now())[0]
            assert isinstance(placed.answer, Result)
            if placed.answer.code is ResultCode.OK:
                seen.append((market.scale.size(placed.answer.leaves_lots), size))

    gateway.place(number, [gateway.NewOrder(market, terms("sell", "0.00001", "90000"))], now=clock.now())
    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) > 100
    assert all(Amount.parse(told, "BTC") == Amount.parse(asked, "BTC") for told, asked in seen)


def test_goes_on_after_a_command_that_was_not_journaled(venue: Venue, tom: Trader) -> None:
    """A refusal before the journal leaves its number unused; what was sent behind it must not be lost."""
    late = clock.now().timestamp() - 60
    stale = datetime.fromtimestamp(late, tz=clock.now().tzinfo)
    market = Instrument.objects.get(pk=1)
    order = gateway.NewOrder(market, terms("sell", "0.001", "90000"))
    for _ in range(3):
        expired = gateway.place(account(tom).pk, [order], now=stale)[0]
        assert code_of(expired) is ResultCode.EXPIRED
        assert [code_of(placed) for placed in place(tom, *[order.terms] * 5)] == [ResultCode.OK] * 5


def test_refuses_at_once_while_the_engine_is_away_and_recovers(
    venue: Venue, tom: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_of(place(tom, terms("sell", "0.1", "40000"))[0]) is ResultCode.OK
    venue.engine.kill()
    with monkeypatch.context() as hurried:
        hurried.setattr("engine_bridge.adapters.client.ANSWER_S", 0.3)
        with pytest.raises(EngineAway):
            _until_away(tom)
    with pytest.raises(EngineAway):
        place(tom, terms("sell", "0.1", "40000"))
    venue.engine.start()
    until(gateway.is_connected)
    placed = place(tom, terms("sell", "0.1", "41000"))[0]
    assert code_of(placed) is ResultCode.OK
    venue.settle()
    assert Order.objects.filter(state="live").count() == 2
    assert sound()


def test_calls_an_outcome_unknown_when_no_answer_comes(
    venue: Venue, tom: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tom, terms("sell", "0.1", "40000"))
    monkeypatch.setattr("engine_bridge.adapters.client.ANSWER_S", 0.3)
    monkeypatch.setattr("engine_bridge.adapters.client.QUERY_S", 0.3)
    venue.engine.pause()
    try:
        placed = place(tom, terms("sell", "0.1", "40100", clOrdId="lost"))[0]
        assert isinstance(placed.answer, OutcomeUnknown)
    finally:
        venue.engine.go_on()
    until(gateway.is_connected)
    venue.settle()
    row = queries.order(account(tom), client_id="lost")
    assert row is None or row.pk == placed.order_id


def test_sends_again_what_was_unanswered_when_the_engine_died(
    venue: Venue, tom: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command waits out the restart; whichever way it went, there is one order."""
    monkeypatch.setattr(gateway, "ORDER_LIFETIME_MS", 60_000)
    place(tom, terms("sell", "0.1", "40000"))
    venue.engine.pause()
    outcome: list[gateway.Placed] = []
    number, market = account(tom).pk, Instrument.objects.get(pk=1)
    order = gateway.NewOrder(market, terms("sell", "0.1", "40100", clOrdId="twice"))

    def submit() -> None:
        outcome.extend(gateway.place(number, [order], now=clock.now()))

    thread = threading.Thread(target=submit)
    thread.start()
    time.sleep(0.3)
    venue.engine.kill()
    venue.engine.start()
    thread.join()
    assert code_of(outcome[0]) is ResultCode.OK
    venue.settle()
    assert Order.objects.filter(price_ticks=401_000).count() == 1
    assert sound()


@pytest.mark.slow
@pytest.mark.parametrize("deaths", [5, pytest.param(300, marks=pytest.mark.soak)])
def test_loses_and_doubles_nothing_that_was_acknowledged_under_kills(
    venue: Venue, tom: Trader, tia: Trader, deaths: int
) -> None:
    """Four writers, deaths at random moments; then every answer is held against mirrors and books."""
    chance = random.Random(20261121)
    told: list[tuple[int, Result]] = []
    stop = threading.Event()
    market = Instrument.objects.get(pk=1)
    place(tom, terms("sell", "0.00001", "90000"))

    def write(trader_number: int, side: str, seed: int) -> None:
        mine = random.Random(seed)
        while not stop.wait(0.01):
            size, price = f"0.000{mine.randint(10, 99)}", str(40_000 + mine.randint(-3, 3))
            fields = {"side": side, "ordType": "limit", "tdMode": "cash", "sz": size, "px": price}
            order = gateway.NewOrder(market, read(fields, market.scale))
            try:
                placed = gateway.place(trader_number, [order], now=clock.now())[0]
            except (EngineAway, EngineBusy):
                time.sleep(0.01)
                continue
            if isinstance(placed.answer, Result):
                told.append((placed.order_id, placed.answer))
        connection.close()

    writers = [
        threading.Thread(target=write, args=(account(who).pk, side, seed))
        for seed, (who, side) in enumerate([(tom, "sell"), (tia, "buy")] * 2)
    ]
    for thread in writers:
        thread.start()
    for _ in range(deaths):
        _until_told(told, 20)
        time.sleep(chance.uniform(0.0, 0.3))
        venue.engine.kill()
        venue.engine.start()
    _until_told(told, 20)
    stop.set()
    for thread in writers:
        thread.join()
    venue.settle()
    accepted = {number: answer for number, answer in told if answer.code is ResultCode.OK}
    stored = {row.pk: row for row in Order.objects.filter(pk__in=accepted)}
    assert len(accepted) > 50
    assert stored.keys() == accepted.keys()
    assert all(stored[number].filled_lots >= answer.filled_lots for number, answer in accepted.items())
    found = compare(f"unix:{venue.engine.transfers}")
    assert (found.differences, found.settled_seq) == ((), found.event_seq)
    assert sound()


def test_halts_at_a_row_that_the_database_refuses_and_goes_on_when_the_cause_is_gone(
    venue: Venue, tom: Trader, tia: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settlement may not reject a trade: it stands, says why, and has written nothing of the batch."""
    monkeypatch.setattr("engine_bridge.daemons.settlement.RETRY_HALTED", timedelta(0))
    ask = place(tom, terms("sell", "0.5", "40000"))[0]
    place(tia, terms("buy", "0.2", "40000"))
    before, moment = queries.settlement().last_event_seq, clock.now()
    in_the_way = Order.objects.create(
        pk=ask.order_id, account=account(tom), instrument_id=1, side="sell", order_type="limit",
        price_ticks=1, qty_lots=1, stp="cancel_maker", state="live", accepted_seq=1, created_at=moment,
        updated_at=moment,
    )  # fmt: skip
    until(lambda: venue.settlement.step() is False or bool(queries.settlement().halted))
    view = queries.settlement()
    assert (view.last_event_seq, view.halted.partition(":")[0]) == (before, "IntegrityError")
    assert (Fill.objects.count(), trading(tom, "USDT")) == (0, "0")
    in_the_way.delete()
    venue.settlement.step()
    venue.settle()
    assert (queries.settlement().halted, Fill.objects.count(), trading(tom, "USDT")) == ("", 2, "7993.6")
    assert sound()


def test_halts_at_an_event_that_the_engine_cannot_tell_until_it_was_written_again(
    venue: Venue, tom: Trader, tia: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file of events is never told as something else; the engine says what brings them back."""
    monkeypatch.setattr("engine_bridge.daemons.settlement.RETRY_HALTED", timedelta(0))
    place(tom, terms("sell", "0.5", "40000"))
    place(tia, terms("buy", "0.2", "40000"))
    venue.settle()
    before = mirrors()
    with open_channel(f"unix:{venue.engine.admin}") as channel:
        admin_pb2_grpc.AdminStub(channel).TakeSnapshot(types_pb2.Empty())
    venue.engine.kill()
    journal = venue.engine.folder / "journal"
    (damaged,) = (journal / "events").glob("*.log")
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    venue.engine.start()
    assert place_of(f"unix:{venue.engine.admin}", 1) is None, "which keeps nobody from confirming it"
    clear_mirrors(actor=system("test"), now=clock.now(), reason="a disk was restored")
    until(lambda: venue.settlement.step() is False and bool(queries.settlement().halted))
    halted = queries.settlement().halted
    assert (halted.partition(":")[0], "recompute" in halted) == ("EventsMissing", True)
    subprocess.run([binary(), "recompute", "--dir", journal], check=True, capture_output=True)
    until(lambda: venue.settlement.step() and not queries.settlement().halted)
    venue.settle()
    assert mirrors() == before
    assert sound()


def test_sees_where_the_books_differ(venue: Venue, tom: Trader, tia: Trader) -> None:
    """Money at the venue that the engine never heard of is found, and the command ends with an error; so is a
    trade that only whoever writes as the worker has made.
    """
    assert compare(f"unix:{venue.engine.transfers}").differences == ()
    with as_role("cs_worker"):
        false_trade(giver=tom, taker=tia, units=5)
    with as_role("cs_reconciler"):
        lines = list(map(said, compare(f"unix:{venue.engine.transfers}").differences))
    assert lines == [
        f"Account {account(tom).pk} at the venue has 1 BTC in the engine, and 0.99999995 BTC in the ledger.",
        f"Account {account(tia).pk} at the venue has 0 BTC in the engine, and 0.00000005 BTC in the ledger.",
    ]
    with as_role("cs_worker"):
        false_trade(giver=tia, taker=tom, units=5)
    call_command("compare_books", stdout=StringIO())
    give(tom.customer.pk, "1", "USDT", kind=AccountKind.CUSTOMER_TRADING)
    found = compare(f"unix:{venue.engine.transfers}").differences
    assert [(item.asset, item.engine_units, item.ledger_units) for item in found] == [("USDT", 0, 1_000_000)]
    with pytest.raises(CommandError):
        call_command("compare_books", stdout=StringIO(), stderr=StringIO())
    with pytest.raises(NotCompared, match="the venue was not compared"):
        compare("unix:/nowhere")


def test_adds_what_is_not_settled_yet_before_it_compares(venue: Venue, tom: Trader, tia: Trader) -> None:
    """And nothing else while the mirrors are being rebuilt: all the while it is in the ledger already."""
    target = f"unix:{venue.engine.transfers}"
    place(tom, terms("sell", "0.5", "40000"))
    place(tia, terms("buy", "0.2", "40000"))
    found = compare(target)
    assert found.settled_seq < found.event_seq
    assert found.differences == ()
    venue.settle()
    clear_mirrors(actor=system("test"), now=clock.now(), reason="a test")
    place(tia, terms("buy", "0.1", "40000"))
    later = compare(target)
    assert (found.event_seq <= later.settled_seq < later.event_seq, later.differences) == (True, ())


def test_compares_each_account_at_the_event_of_its_page(
    venue: Venue, tom: Trader, tia: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trading goes on between two pages of balances, and so does settlement, which is then ahead of a page;
    the venue's own account is on none of them.
    """
    target = f"unix:{venue.engine.transfers}"
    place(tom, terms("sell", "0.5", "40000"))
    place(tia, terms("buy", "0.2", "40000"))

    def pages(target: str, at: int) -> tuple[Page, int]:
        (page,) = balances_of(target, [account(tia if at else tom).pk])
        place(tia, terms("buy", "0.1", "40000"))
        if not at:
            venue.settle()
        return page, 1 - at

    monkeypatch.setattr(feed, "balances_from", pages)
    found = compare(target)
    assert (found.differences, found.balances) == ((), 4)
    give(tom.customer.pk, "1", "USDT", kind=AccountKind.CUSTOMER_TRADING)
    monkeypatch.undo()
    found = compare(target)
    assert [(item.asset, item.engine_units - item.ledger_units) for item in found.differences] == [
        ("USDT", -1_000_000)
    ]


def false_trade(*, giver: Trader, taker: Trader, units: int) -> None:
    of = AccountKind.CUSTOMER_TRADING
    book("engine.trade", (of, giver.customer.pk, -units), (of, taker.customer.pk, units))


def _until_told(told: Sized, more: int) -> None:
    """Until so many more answers have come: a busy machine takes its time to find the engine again."""
    wanted = len(told) + more
    until(lambda: len(told) >= wanted)


def _until_away(trader: Trader) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        placed = place(trader, terms("sell", "0.001", "99000"))
        assert isinstance(placed[0].answer, OutcomeUnknown)
