"""Commands without end: place, and cancel what has rested for long enough."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from core.ids import new_id_numbers
from engine_bridge.adapters import encoding
from engine_bridge.domain.commands import ORDER_LIFETIME_MS, CancelOrder, Command, PlaceOrder
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.domain.orders import OrderTerms, OrderType, Side, StpMode
from engine_bridge.wire import order_entry_pb2

ACCOUNT: Final = 7
RESTING: Final = 100  # of each flow: all of them are one account, which may have 4,000
LEVELS: Final = 400
_APART: Final = 10_000_000


class Flow:
    """Half of the commands place a limit order that rests, half cancel an earlier one."""

    def __init__(self, first: int) -> None:
        self._number = first
        self._resting: deque[int] = deque()
        self._terms = [
            OrderTerms(Side.SELL, OrderType.LIMIT, 400_000 + level, 10 + level % 7, 0, "", "",
                       StpMode.CANCEL_MAKER, quote_sized=False)
            for level in range(LEVELS)
        ]  # fmt: skip

    def many(self, count: int) -> list[Command]:
        """The next so many, all alive from now on: as in a call that brings them together."""
        expires = time.time_ns() // 1_000_000 + ORDER_LIFETIME_MS
        return [self._of(fresh, expires) for fresh in new_id_numbers(count)]

    def _of(self, fresh: int, expires_at_ms: int) -> Command:
        if len(self._resting) >= RESTING:
            return CancelOrder(fresh, expires_at_ms, self._resting.popleft(), ACCOUNT)
        self._number += 1
        self._resting.append(self._number)
        terms = self._terms[self._number % LEVELS]
        return PlaceOrder(fresh, expires_at_ms, self._number, LISTINGS[0].number, ACCOUNT, terms)


class Flows:
    """Numbers that no other flow has used, so that each part of a run begins with its own orders."""

    def __init__(self) -> None:
        self._begun = 0

    def begin(self) -> Flow:
        """Another flow."""
        self._begun += 1
        return Flow(self._begun * _APART)


def wire(commands: list[Command]) -> list[order_entry_pb2.Command]:
    """The commands as messages, which have no number yet."""
    return [order_entry_pb2.Command.FromString(body) for body in encoding.commands(commands)]
