"""Comparing the books: engine accounts against the ledger's trading accounts, each at one event, to the last
unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from engine_bridge import queries
from engine_bridge.adapters import feed
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.domain import assets
from engine_bridge.domain.events import Event
from engine_bridge.domain.movements import Break, Difference, Movements, differences, of_events
from engine_bridge.domain.records import FEE_ACCOUNT
from kernel.money import Amount


class NotCompared(Exception):
    """The engine does not answer, or cannot tell any more what settlement has not reached."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, up to `event_seq`, and where the two differ: nothing, on a good day."""

    event_seq: int
    settled_seq: int
    balances: int
    differences: tuple[Difference, ...]


def compare(target: str) -> Comparison:
    """Engine against ledger. What settlement has not reached yet is added to the ledger's side. NotCompared.

    The ledger is read first, in one statement with the cursor, so it is never ahead of the engine. Each page
    of the engine's is true at an event of its own, so each account is brought to the event of its page.
    Accounts that are on none hold nothing there, and are asked for by number if the ledger has anything of
    them.
    """
    try:
        return _compared(target)
    except (EngineAway, feed.EventsMissing) as error:
        raise NotCompared(f"the venue was not compared: {error}") from error


def _compared(target: str) -> Comparison:
    settled_seq, ledger = queries.trading_books()
    engine: Movements = {}
    seen: dict[int, int] = {}
    _take(feed.balances(target), engine, seen)
    reached = max([settled_seq, *seen.values()])
    _add(_moved(target, settled_seq, reached), ledger, seen, others=reached)
    if others := sorted({account for account, _ in ledger} - seen.keys()):
        asked: dict[int, int] = {}
        _take(feed.balances_of(target, others), engine, asked)
        newest = max([reached, *asked.values()])
        _add(_moved(target, reached, newest), ledger, asked, others=reached)
        reached = newest
    return Comparison(reached, settled_seq, len(engine), differences(engine=engine, ledger=ledger))


def breaks(target: str) -> list[str]:
    """Where ledger and engine differ, in sentences as an operator is told them; NotCompared."""
    try:
        found = compare(target)
    except (Break, assets.UntradedAsset) as error:
        return [f"The engine holds what the books do not know: {error}."]
    return [said(item) for item in found.differences]


def said(item: Difference) -> str:
    """Whose balance differs, and what either says of it."""
    whose = "The venue's own account" if item.account == FEE_ACCOUNT else f"Account {item.account}"
    engine, ledger = (
        f"{Amount(units, item.asset)} {item.asset}" for units in (item.engine_units, item.ledger_units)
    )
    return f"{whose} at the venue has {engine} in the engine, and {ledger} in the ledger."


def _take(pages: Iterable[feed.Page], engine: Movements, seen: dict[int, int]) -> None:
    for page in pages:
        seen.update(dict.fromkeys(page.accounts, page.event_seq))
        for (account, number), (available, held) in page.found.items():
            engine[account, assets.code(number)] = available + held


def _moved(target: str, after: int, last: int) -> Iterator[Event]:
    """The events behind `after`, up to `last`."""
    if after < last:
        for batch in feed.read_range(target, first=after + 1, last=last):
            yield from (event for event in batch.events if event.event_seq <= last)


def _add(events: Iterable[Event], ledger: Movements, at: Mapping[int, int], *, others: int) -> None:
    """Bring each account to the event that `at` says, all others to that one."""
    for event in events:
        for key, units in of_events([event]).items():
            if event.event_seq <= at.get(key[0], others):
                ledger[key] = ledger.get(key, 0) + units
