"""A chain's node that tests can look into, in the place of the one that the worker is given."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from core import action
from custody import raising_tasks, tasks
from custody.adapters.bitcoin import Broadcast, NodeUnreachable, Outcome


class Node:
    """Counts what it is given; what it has, it shows. Nobody calls it from inside an action."""

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.has: set[str] = set()
        self.outcome = Outcome.ACCEPTED
        self.rate: int | None = None

    def broadcast(self, raw: bytes) -> Broadcast:
        assert not action.is_open()
        self.given.append(raw)
        return Broadcast(self.outcome)

    def fee_rate(self, *, within_blocks: int) -> int | None:
        if self.outcome is Outcome.UNKNOWN:
            raise NodeUnreachable("no answer")
        return self.rate

    def evicted_fees(self, txid: str) -> int:
        return 0

    def transaction(self, txid: str) -> object | None:
        assert not action.is_open()
        if self.outcome is Outcome.UNKNOWN:
            raise NodeUnreachable("no answer")
        return object() if txid in self.has else None


def stand_in(patch: pytest.MonkeyPatch) -> Node:
    """The node that the worker's tasks speak to from now on."""
    found = Node()
    for room in (tasks, raising_tasks):
        patch.setattr(room, "BitcoinNode", lambda url: nullcontext(found))
    return found
