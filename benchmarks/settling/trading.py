"""Accounts with money, and what they do."""

from __future__ import annotations

from datetime import datetime
from typing import Any


class Trading:
    """Accounts with money, and a tape of what they do: half of the orders rest and are met later."""

    def __init__(self, accounts: int, *, now: datetime) -> None:
        from core.access.models import Identity
        from core.actor import system
        from core.ids import new_id
        from engine_bridge.actions import start_transfer
        from engine_bridge.actions.accounts import open_account
        from engine_bridge.actions.markets import list_market
        from engine_bridge.domain.markets import LISTINGS
        from kernel.money import Amount
        from tests.events import BTC, USDT, Tape
        from tests.venue import give

        self.actor = system("benchmark")
        list_market(listing=LISTINGS[0], actor=self.actor, now=now)
        self.tape = Tape()
        self.tape.open_market()
        self.numbers: list[int] = []
        for index in range(accounts):
            identity = Identity.objects.create(
                id=new_id(), kind="customer", email=f"b{index}@example.com", created_at=now
            )
            self.numbers.append(open_account(customer_id=identity.pk, now=now).pk)
            for asset, number, units in (("BTC", BTC, 10**13), ("USDT", USDT, 10**15)):
                give(identity.pk, str(Amount(units, asset)), asset)
                row = start_transfer(
                    customer_id=identity.pk, amount=Amount(units, asset), into_venue=True,
                    actor=self.actor, now=now,
                )  # fmt: skip
                self.tape.transfer(row.pk, self.numbers[-1], number, units)
        self._resting: list[Any] = []
        self._turn = 0

    def batch(self, events: int) -> Any:
        """The next batch of about so many events."""
        from engine_bridge.domain.orders import Side

        first = len(self.tape.events) + 1
        while len(self.tape.events) - first < events:
            self._turn += 1
            count = len(self.numbers)
            seller, buyer = self.numbers[self._turn % count], self.numbers[(self._turn * 7 + 1) % count]
            if seller == buyer:
                continue
            lots, price = 10 + self._turn % 90, 400_000 + self._turn % 50
            self._resting.append((self.tape.accept(seller, Side.SELL, price, lots), seller))
            if len(self._resting) > events // 8:
                maker, _ = self._resting.pop(0)
                if maker.account_id == buyer:
                    continue
                taker = self.tape.accept(buyer, Side.BUY, maker.price_ticks, maker.qty_lots)
                self.tape.trade(maker, taker, maker.qty_lots, maker_left=0, taker_left=0)
                for spec in (taker, maker):
                    lots = spec.qty_lots
                    self.tape.done(
                        spec, reason="FILLED", lots=lots, ticklots=lots * maker.price_ticks, left=0
                    )
        return self.tape.batch(first)
