"""Acts of the cast at the venue, and looks at what came of them, for tests against the real engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from core import clock, ledger
from core.ledger import AccountKind
from core.ledger.invariants import broken
from engine_bridge import gateway, queries
from engine_bridge.actions import start_transfer
from engine_bridge.domain.orders import OrderTerms, read
from engine_bridge.domain.results import Result, ResultCode
from engine_bridge.models import EngineAccount, Fill, Instrument, Order, TradingBalance, Transfer
from kernel.money import Amount
from tests.traders import Trader, enrol
from tests.venue import Venue, give


def maker(venue: Venue) -> Trader:
    """Tom, with a coin at the venue and one in funding."""
    return _arrived(venue, "Tom", "2", "1", "BTC")


def taker(venue: Venue) -> Trader:
    """Tia, with 100,000 dollars at the venue and as many in funding."""
    return _arrived(venue, "Tia", "200000", "100000", "USDT")


def _arrived(venue: Venue, name: str, funded: str, moved: str, asset: str) -> Trader:
    trader = enrol(name, now=clock.now())
    give(trader.customer.pk, funded, asset)
    move(trader, moved, asset)
    venue.deliver()
    venue.settle()
    return trader


def move(trader: Trader, text: str, asset: str, *, into: bool = True, client_id: str = "") -> Transfer:
    return start_transfer(
        customer_id=trader.customer.pk,
        amount=Amount.parse(text, asset),
        into_venue=into,
        client_id=client_id,
        actor=trader.actor,
        now=clock.now(),
    )


def terms(side: str, size: str, price: str = "", **changes: str) -> OrderTerms:
    fields = {"side": side, "ordType": "limit", "sz": size, "px": price, "tdMode": "cash"} | changes
    return read(fields, Instrument.objects.get(pk=1).scale)


def account(trader: Trader) -> EngineAccount:
    found = queries.account_of(trader.customer.pk)
    assert found is not None
    return found


def place(trader: Trader, *orders: OrderTerms) -> list[gateway.Placed]:
    market = Instrument.objects.get(pk=1)
    spendable = {view.total.asset: view.available.units for view in queries.trading_balances(account(trader))}
    wanted = [gateway.NewOrder(market, order, spendable.get("USDT", 0)) for order in orders]
    return gateway.place(account(trader).pk, wanted, now=clock.now())


def code_of(placed: gateway.Placed) -> ResultCode:
    assert isinstance(placed.answer, Result)
    return placed.answer.code


def trading(trader: Trader, asset: str) -> str:
    row = ledger.account(AccountKind.CUSTOMER_TRADING, asset, trader.customer.pk)
    return str(ledger.balance(row).posted)


def funding(trader: Trader, asset: str) -> str:
    row = ledger.account(AccountKind.CUSTOMER_FUNDING, asset, trader.customer.pk)
    return str(ledger.balance(row).posted)


def sound() -> bool:
    return not any(broken().values())


def mirrors() -> list[Any]:
    """Every mirror row, whole."""
    return [list(model.objects.order_by("pk").values()) for model in (Order, Fill)] + [
        list(
            TradingBalance.objects.order_by("account_id", "asset").values(
                "account_id", "asset", "units", "held", "updated_at"
            )
        )
    ]


def until(done: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)
