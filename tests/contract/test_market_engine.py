"""The bridge, against the real engine, ..."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from core import clock, ledger
from core.actor import Actor, system
from core.audit.models import AuditEvent
from core.ledger import AccountKind
from engine_bridge import gateway, listing, queries
from engine_bridge.actions import clear_mirrors
from engine_bridge.adapters import administration
from engine_bridge.domain.markets import LISTINGS, Band
from engine_bridge.domain.results import Result, ResultCode
from engine_bridge.models import Fill, Instrument, Order
from tests.traders import Trader
from tests.trading import (
    account,
    code_of,
    funding,
    maker,
    mirrors,
    move,
    place,
    sound,
    taker,
    terms,
    trading,
)
from tests.venue import Venue, engine_running, give, venue_open

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


def test_opens_a_new_market_and_keeps_state_and_band_of_a_known_one(venue: Venue) -> None:
    assert Instrument.objects.get().state == "open"
    target = f"unix:{venue.engine.admin}"
    administration.set_band(target, instrument=1, band=Band(50_000, 400_000))
    administration.set_state(target, instrument=1, state="cancel_only")
    put = listing.put_all(target, actor=system("test"), now=clock.now())
    assert list(put) == [("BTC-USDT", "cancel_only")]
    assert administration.bands(target) == {1: Band(50_000, 400_000)}


def test_says_in_the_log_what_listing_a_market_changes_here_and_there(venue: Venue) -> None:
    """Limits and the opening are the engine's alone: the event is the only place that tells of them."""
    target, now = f"unix:{venue.engine.admin}", clock.now()

    def events() -> list[dict[str, Any]]:
        rows = AuditEvent.objects.filter(doc__action="engine.market.listed").order_by("tx", "n")
        return [row.doc for row in rows]

    (first,) = events()
    limits = {"max_price_ticks": 100_000_000, "max_qty_lots": 100_000_000}
    assert first["before"] == {"state": None}
    assert first["after"].items() >= {**limits, "state": "open", "maker_fee_bps": 8}.items()
    administration.put_instrument(target, replace(LISTINGS[0], max_qty_lots=7), base=1, quote=2)
    list(listing.put_all(target, reason="the old limit again", actor=system("test"), now=now))
    list(listing.put_all(target, reason="nothing to do", actor=system("test"), now=now))
    (_, second) = events()
    assert (second["before"]["max_qty_lots"], second["after"]) == (7, first["after"])
    assert second["reason"] == "the old limit again"
    with engine_running() as other:
        list(listing.put_all(f"unix:{other.admin}", reason="anew", actor=system("test"), now=now))
    (*_, third) = events()
    assert (third["before"]["state"], third["after"]["state"], third["reason"]) == (None, "open", "anew")


def test_moves_money_in_and_out_in_two_steps(venue: Venue, tom: Trader) -> None:
    assert (funding(tom, "BTC"), trading(tom, "BTC")) == ("1", "1")
    row = move(tom, "0.4", "BTC", into=False)
    assert (funding(tom, "BTC"), trading(tom, "BTC")) == ("1", "1")
    venue.deliver()
    venue.settle()
    row.refresh_from_db()
    assert (row.state, funding(tom, "BTC"), trading(tom, "BTC")) == ("settled", "1.4", "0.6")
    assert sound()


def test_holds_money_in_transit_until_the_engine_has_it(venue: Venue, tom: Trader) -> None:
    move(tom, "0.5", "BTC")
    transit = ledger.account(AccountKind.IN_TRANSIT, "BTC", tom.customer.pk)
    assert (funding(tom, "BTC"), str(ledger.balance(transit).posted), trading(tom, "BTC")) == (
        "0.5",
        "0.5",
        "1",
    )
    venue.deliver()
    venue.deliver()
    venue.settle()
    assert (str(ledger.balance(transit).posted), trading(tom, "BTC")) == ("0", "1.5")


def test_refuses_to_move_out_what_stands_behind_an_order(venue: Venue, tom: Trader) -> None:
    row = move(tom, "0.8", "BTC", into=False)
    assert code_of(place(tom, terms("sell", "0.5", "40000"))[0]) is ResultCode.OK
    venue.deliver()
    venue.settle()
    row.refresh_from_db()
    assert (row.state, row.reason, trading(tom, "BTC")) == ("refused", "INSUFFICIENT_BALANCE", "1")
    assert sound()


def test_gives_one_transfer_for_one_client_id(venue: Venue, tom: Trader) -> None:
    first = move(tom, "0.1", "BTC", client_id="once")
    assert move(tom, "0.1", "BTC", client_id="once").pk == first.pk
    venue.deliver()
    venue.settle()
    assert (funding(tom, "BTC"), trading(tom, "BTC")) == ("0.9", "1.1")


def test_settles_a_trade_to_the_last_unit(venue: Venue, tom: Trader, tia: Trader) -> None:
    ask = place(tom, terms("sell", "0.5", "40000"))[0]
    bid = place(tia, terms("buy", "0.2", "40000.5"))[0]
    venue.settle()
    assert (code_of(ask), code_of(bid)) == (ResultCode.OK, ResultCode.OK)
    # 0.2 BTC at the maker's 40000: Tom receives 8000 less 8 bps, Tia 0.2 less 10 bps.
    assert (trading(tom, "BTC"), trading(tom, "USDT")) == ("0.8", "7993.6")
    assert (trading(tia, "BTC"), trading(tia, "USDT")) == ("0.1998", "92000")
    fees = {
        asset: str(ledger.balance(ledger.account(AccountKind.ENGINE_FEES, asset)).posted)
        for asset in ("BTC", "USDT")
    }
    assert fees == {"BTC": "0.0002", "USDT": "6.4"}
    maker, taker = Order.objects.get(pk=ask.order_id), Order.objects.get(pk=bid.order_id)
    assert (maker.state, maker.filled_lots, maker.held_units) == ("partially_filled", 20_000, 30_000_000)
    assert (taker.state, taker.filled_lots, taker.held_units, taker.fee_units) == (
        "filled",
        20_000,
        0,
        20_000,
    )
    assert list(Fill.objects.order_by("pk").values_list("taker", "side", "fee_asset")) == [
        (False, "sell", "USDT"),
        (True, "buy", "BTC"),
    ]
    assert sound()


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"ordType": "post_only"}, "31"),
        ({"ordType": "fok", "sz": "0.9"}, "13"),
        ({"ordType": "ioc", "px": "39999"}, "14"),
    ],
)
def test_tells_orders_that_must_not_rest_as_canceled(
    venue: Venue, tom: Trader, tia: Trader, changes: dict[str, str], source: str
) -> None:
    place(tom, terms("sell", "0.5", "40000"))
    fields = {"size": "0.1", "price": "40000", "clOrdId": "mine"}
    order = terms("buy", changes.get("sz", fields["size"]), changes.get("px", fields["price"]),
                  ordType=changes["ordType"], clOrdId="mine")  # fmt: skip
    place(tia, order)
    venue.settle()
    row = queries.order(account(tia), client_id="mine")
    assert row is not None
    assert (row.state, row.cancel_source, row.client_id, row.filled_lots) == ("canceled", source, "mine", 0)


def test_buys_at_the_market_by_size_and_by_cost(venue: Venue, tom: Trader, tia: Trader) -> None:
    place(tom, terms("sell", "0.5", "40000"))
    place(tia, terms("buy", "0.1", ordType="market", tgtCcy="base_ccy"))
    place(tia, terms("buy", "1000", ordType="market", tgtCcy="quote_ccy"))
    venue.settle()
    bought = list(
        Order.objects.filter(account=account(tia)).order_by("pk").values_list("state", "filled_lots")
    )
    assert bought == [("filled", 10_000), ("filled", 2_500)]


def test_lets_a_buyer_spend_everything_at_the_market(venue: Venue, tom: Trader, tia: Trader) -> None:
    """The worst price is held, yet it may not shut out who has exactly enough for the best one."""
    move(tom, "1", "BTC")
    venue.deliver()
    venue.settle()
    place(tom, terms("sell", "2", "50000"))
    placed = place(tia, terms("buy", "2", ordType="market", tgtCcy="base_ccy"))[0]
    venue.settle()
    assert (code_of(placed), Order.objects.get(pk=placed.order_id).state) == (ResultCode.OK, "filled")
    assert trading(tia, "USDT") == "0"


def test_finds_no_liquidity_in_an_empty_book(venue: Venue, tom: Trader) -> None:
    placed = place(tom, terms("sell", "0.1", ordType="market", clOrdId="lonely"))[0]
    assert code_of(placed) is ResultCode.NO_LIQUIDITY
    venue.settle()
    row = queries.order(account(tom), client_id="lonely")
    assert row is not None
    assert (row.state, row.cancel_source) == ("canceled", "14")


def test_never_trades_a_customer_with_themselves(venue: Venue, tom: Trader, tia: Trader) -> None:
    give(tia.customer.pk, "1", "BTC")
    move(tia, "1", "BTC")
    venue.deliver()
    venue.settle()
    first = place(tia, terms("sell", "0.5", "40000"))[0]
    place(tia, terms("buy", "0.5", "40000"))
    venue.settle()
    row = Order.objects.get(pk=first.order_id)
    assert (row.state, row.cancel_source, Fill.objects.count()) == ("canceled", "32", 0)


def test_answers_what_the_engine_refuses(venue: Venue, tom: Trader) -> None:
    assert code_of(place(tom, terms("sell", "5", "40000"))[0]) is ResultCode.INSUFFICIENT_BALANCE
    assert code_of(place(tom, terms("buy", "0.1", "40000"))[0]) is ResultCode.INSUFFICIENT_BALANCE


def test_cancels_own_orders_only(venue: Venue, tom: Trader, tia: Trader) -> None:
    mine = place(tom, terms("sell", "0.5", "40000"))[0]
    answers = gateway.cancel(account(tia).pk, [mine.order_id], now=clock.now())
    assert [answer.code for answer in answers if isinstance(answer, Result)] == [ResultCode.NOT_OWNER]
    answers = gateway.cancel(account(tom).pk, [mine.order_id, mine.order_id], now=clock.now())
    assert [answer.code for answer in answers if isinstance(answer, Result)] == [
        ResultCode.OK,
        ResultCode.UNKNOWN_ORDER,
    ]
    venue.settle()
    row = Order.objects.get(pk=mine.order_id)
    assert (row.state, row.cancel_source, row.held_units) == ("canceled", "1", 0)


def test_writes_the_same_rows_when_it_settles_from_zero(
    venue: Venue, tom: Trader, tia: Trader, robot: Actor
) -> None:
    place(tom, terms("sell", "0.5", "40000", clOrdId="ask", tag="a"))
    place(
        tia, terms("buy", "0.2", "40000.5", clOrdId="bid"), terms("buy", "0.1", "39000", ordType="post_only")
    )
    place(tia, terms("buy", "0.1", "40000", ordType="post_only", clOrdId="no"))
    gateway.cancel(account(tom).pk, [Order.objects.none().count() + 1], now=clock.now())
    venue.settle()
    before, books = mirrors(), (trading(tom, "BTC"), trading(tia, "USDT"))
    assert [len(rows) for rows in before] == [4, 2, 4]
    reached = clear_mirrors(actor=robot, now=clock.now(), reason="test")
    assert mirrors() == [[], [], []]
    venue.settlement.close()
    venue.settle()
    assert queries.settlement().last_event_seq >= reached
    assert mirrors() == before
    assert (trading(tom, "BTC"), trading(tia, "USDT")) == books
    assert sound()
