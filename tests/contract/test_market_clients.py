"""Unmodified clients over real HTTP: ccxt and python-okx ..."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ccxt
import pytest
from okx import Account, Funding, MarketData, PublicData, Trade

from core import clock
from custody.actions import load_registry, report_price
from custody.domain.limits import Quote
from custody.domain.wallets import Targets
from kernel.money import Amount
from tests.live import api_served
from tests.traders import Trader
from tests.trading import maker, sound, taker, trading
from tests.treasury import HOME, PRICE_CENTS, ROBOT, registry
from tests.venue import Venue, venue_open

pytestmark = [
    pytest.mark.slow,
    # python-okx hands httpx its body in a way that httpx no longer likes.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]


@dataclass
class Served:
    """The API's origin, the venue behind it, and the two traders."""

    origin: str
    venue: Venue
    tom: Trader
    tia: Trader
    opened: ExitStack

    def ccxt(self, trader: Trader | None) -> Any:
        options: dict[str, Any] = {"urls": {"api": {"rest": self.origin}}, "enableRateLimit": True}
        options["timeout"] = 60_000  # ms; a busy machine takes its time
        if trader is not None:
            options |= {"apiKey": trader.key, "secret": trader.secret, "password": trader.passphrase}
        client = ccxt.okx(options)
        self.opened.callback(client.session.close)
        return client

    def okx(self, kind: Any, trader: Trader | None) -> Any:
        keys = (trader.key, trader.secret, trader.passphrase) if trader else ()
        client = kind(*keys, flag="0", domain=self.origin)
        client.timeout = 60
        self.opened.callback(client.close)
        return client


@pytest.fixture
def served(real_database: str, tmp_path: Path) -> Iterator[Served]:
    with venue_open() as venue:
        targets = Targets(Amount(0, "BTC"), Amount(0, "BTC"))
        load_registry(registry=registry(), targets=targets, actor=ROBOT, now=clock.now())
        report_price(
            quote=Quote("BTC", PRICE_CENTS, clock.now()), source="test", actor=ROBOT, now=clock.now()
        )
        tom, tia = maker(venue), taker(venue)
        with venue.settling(), api_served(venue, tmp_path / "api.log") as origin, ExitStack() as opened:
            yield Served(origin, venue, tom, tia, opened)


def until(answer: Callable[[], Any], *, within_s: float = 60.0) -> Any:
    """What the call gives once it stops raising."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return answer()
        except ccxt.NetworkError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_trade_deposit_transfer_and_withdraw_with_ccxt(served: Served) -> None:
    tom, tia = served.ccxt(served.tom), served.ccxt(served.tia)
    market = tom.load_markets()["BTC/USDT"]
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 1e-05)
    assert tom.fetch_status()["status"] == "ok"
    assert tom.fetch_balance()["BTC"] == {"free": 1.0, "used": 0.0, "total": 1.0}

    ask = tom.create_order("BTC/USDT", "limit", "sell", 0.5, 40_000)
    resting = tom.fetch_order(ask["id"], "BTC/USDT")
    assert (resting["status"], resting["remaining"], resting["price"]) == ("open", 0.5, 40_000.0)
    assert tom.fetch_balance()["BTC"] == {"free": 0.5, "used": 0.5, "total": 1.0}
    assert [order["id"] for order in tom.fetch_open_orders("BTC/USDT")] == [ask["id"]]
    asks = served.ccxt(None).fetch_order_book("BTC/USDT")["asks"]
    assert [level[:2] for level in asks] == [[40_000.0, 0.5]]

    bid = tia.create_order("BTC/USDT", "limit", "buy", 0.2, 40_000.5, {"clOrdId": "tias1"})
    done = tia.fetch_order(bid["id"], "BTC/USDT")
    assert (done["status"], done["filled"], done["average"]) == ("closed", 0.2, 40_000.0)
    assert done["fee"] == {"cost": 0.0002, "currency": "BTC"}
    assert tia.fetch_order(None, "BTC/USDT", {"clOrdId": "tias1"})["id"] == bid["id"]
    assert tia.fetch_balance()["BTC"]["free"] == 0.1998
    assert tom.fetch_balance()["USDT"]["free"] == 7993.6
    assert [fill["price"] for fill in tia.fetch_my_trades("BTC/USDT")] == [40_000.0]
    assert [trade["side"] for trade in tia.fetch_trades("BTC/USDT")] == ["buy"]
    assert tia.fetch_ticker("BTC/USDT")["last"] == 40_000.0

    tom.cancel_order(ask["id"], "BTC/USDT")
    assert tom.fetch_order(ask["id"], "BTC/USDT")["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound, match="51400"):
        tom.cancel_order(ask["id"], "BTC/USDT")
    with pytest.raises(ccxt.InsufficientFunds, match="51008"):
        tom.create_order("BTC/USDT", "limit", "sell", 5, 40_000)
    with pytest.raises(ccxt.OrderNotFound, match="51603"):
        tom.fetch_order("123456", "BTC/USDT")

    moved = tom.transfer("BTC", 0.3, "trading", "funding")
    assert moved["amount"] == 0.3
    assert tom.fetch_balance({"type": "funding"})["BTC"]["free"] == 1.3
    assert tom.fetch_deposit_address("BTC")["address"].startswith("bcrt1q")

    asked = tom.withdraw("BTC", 0.1, HOME, params={"network": "BTC", "fee": "0.00005"})
    assert asked["id"]
    assert [row["id"] for row in tom.fetch_withdrawals("BTC")] == [asked["id"]]
    assert tom.fetch_balance({"type": "funding"})["BTC"]["free"] == 1.19995
    with pytest.raises(ccxt.ExchangeError, match="58201"):
        tom.withdraw("BTC", 0.1, HOME, params={"network": "BTC", "fee": "0.00005"})
    with pytest.raises(ccxt.InsufficientFunds, match="58350"):
        tia.withdraw("BTC", 0.1, HOME, params={"network": "BTC", "fee": "0.00005"})
    assert sound()


def test_trade_and_withdraw_with_python_okx(served: Served) -> None:
    tom, tia = served.okx(Trade.TradeAPI, served.tom), served.okx(Trade.TradeAPI, served.tia)
    asked = tom.place_order(
        instId="BTC-USDT", tdMode="cash", side="sell", ordType="limit", sz="0.1", px="40000"
    )
    assert (asked["code"], asked["data"][0]["sCode"]) == ("0", "0")
    bought = tia.place_order(
        instId="BTC-USDT", tdMode="cash", side="buy", ordType="market", sz="400", tgtCcy="quote_ccy"
    )
    order = tia.get_order(instId="BTC-USDT", ordId=bought["data"][0]["ordId"])["data"][0]
    assert (order["state"], order["accFillSz"], order["avgPx"], order["fee"]) == (
        "filled",
        "0.01",
        "40000",
        "-0.00001",
    )
    fills = tia.get_fills()["data"]
    assert [(fill["execType"], fill["fillSz"], fill["feeCcy"]) for fill in fills] == [("T", "0.01", "BTC")]
    placed = tom.place_multiple_orders(
        [
            {
                "instId": "BTC-USDT",
                "tdMode": "cash",
                "side": "sell",
                "ordType": "limit",
                "sz": "0.1",
                "px": "41000",
            },
            {
                "instId": "BTC-USDT",
                "tdMode": "cash",
                "side": "sell",
                "ordType": "limit",
                "sz": "0.1",
                "px": "41000.05",
            },
        ]
    )
    assert (placed["code"], [row["sCode"] for row in placed["data"]]) == ("2", ["0", "51000"])
    pending = tom.get_order_list()["data"]
    assert [row["px"] for row in pending] == ["41000", "40000"]
    canceled = tom.cancel_order(instId="BTC-USDT", ordId=pending[0]["ordId"])
    assert canceled["data"][0]["sCode"] == "0"

    account = served.okx(Account.AccountAPI, served.tia)
    balance = {
        row["ccy"]: row["availBal"] for row in account.get_account_balance("BTC,USDT")["data"][0]["details"]
    }
    assert balance == {"BTC": "0.00999", "USDT": "99600"}
    funding = served.okx(Funding.FundingAPI, served.tom)
    assert [row["availBal"] for row in funding.get_balances("BTC")["data"]] == ["1"]
    moved = funding.funds_transfer(ccy="BTC", amt="0.5", from_="6", to="18")
    assert moved["code"] == "0"
    state = funding.transfer_state(moved["data"][0]["transId"])["data"][0]
    assert (state["state"], trading(served.tom, "BTC")) == ("success", "1.49")
    asked = funding.withdrawal(ccy="BTC", amt="0.1", dest="4", toAddr=HOME, chain="BTC-Bitcoin")
    assert asked["code"] == "0"
    assert funding.get_withdrawal_history()["data"][0]["wdId"] == asked["data"][0]["wdId"]
    assert served.okx(PublicData.PublicAPI, None).get_instruments("SPOT")["data"][0]["instIdCode"] == 1
    assert served.okx(MarketData.MarketAPI, None).get_tickers("SPOT")["data"][0]["last"] == "40000"
    assert sound()


def test_see_maintenance_when_the_engine_dies_and_trade_on_when_it_is_back(served: Served) -> None:
    tom = served.ccxt(served.tom)
    first = tom.create_order("BTC/USDT", "limit", "sell", 0.1, 40_000)
    assert tom.fetch_order(first["id"], "BTC/USDT")["status"] == "open"  # and settled
    served.venue.engine.kill()
    with pytest.raises((ccxt.OnMaintenance, ccxt.RequestTimeout)):
        tom.create_order("BTC/USDT", "limit", "sell", 0.1, 40_100)
    with pytest.raises(ccxt.OnMaintenance, match="50001"):
        tom.create_order("BTC/USDT", "limit", "sell", 0.1, 40_100)
    with pytest.raises(ccxt.OnMaintenance, match="50001"):
        tom.cancel_order(first["id"], "BTC/USDT")
    assert tom.fetch_status()["status"] == "maintenance"
    assert tom.fetch_order(first["id"], "BTC/USDT")["status"] == "open"
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(f"{served.origin}/api/v5/market/books?instId=BTC-USDT")  # noqa: S310
    with answer.value as body:
        assert (body.status, json.load(body)["code"], body.headers["Retry-After"]) == (503, "50001", "1")

    served.venue.engine.start()
    second = until(lambda: tom.create_order("BTC/USDT", "limit", "sell", 0.1, 40_200))
    known = {order["id"] for order in tom.fetch_open_orders("BTC/USDT")}
    assert {first["id"], second["id"]} <= known
    assert sound()
