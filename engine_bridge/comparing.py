"""Comparing the books: engine accounts against the ledger's trading accounts, at one event, to the last
unit.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine_bridge import queries
from engine_bridge.adapters import feed
from engine_bridge.domain import assets
from engine_bridge.domain.movements import Difference, differences, of_events


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, and where the two differ: nothing, on a good day."""

    event_seq: int
    settled_seq: int
    balances: int
    differences: tuple[Difference, ...]


def compare(target: str) -> Comparison:
    """Engine against ledger. What settlement has not reached yet is added to the ledger's side. EngineAway.

    The ledger is read first, in one statement with the cursor, so it is never ahead of the engine.
    """
    settled_seq, ledger = queries.trading_books()
    event_seq, found = feed.balances(target)
    engine = {
        (account, assets.code(number)): available + held
        for (account, number), (available, held) in found.items()
        if available + held
    }
    if event_seq > settled_seq:
        events = [
            event
            for batch in feed.read_range(target, first=settled_seq + 1, last=event_seq)
            for event in batch.events
            if event.event_seq <= event_seq
        ]
        for key, units in of_events(events).items():
            ledger[key] = ledger.get(key, 0) + units
    return Comparison(event_seq, settled_seq, len(engine), differences(engine=engine, ledger=ledger))
