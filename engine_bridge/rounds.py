"""A round through all balances at the venue, a piece at a time: engine against ledger, to the last unit.

First the engine's pages, each against what the ledger holds of the accounts on it; then the ledger's
accounts, by their ids, each against what the engine says of its number. So whatever either has and the other
lacks is met, and no piece costs more than so many balances, however large the venue is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from engine_bridge import queries
from engine_bridge.adapters import feed
from engine_bridge.domain import assets
from engine_bridge.domain.movements import Difference, Movements, differences, of_events

AT_ONCE: Final = 20_000
"""Of the ledger's accounts, of all kinds, in a piece; the engine is asked 64 at a time."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a round goes on: at a page of the engine's, or behind an account of the ledger."""

    page: int = 0
    after: UUID | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one piece compared, up to `event_seq`: a page of so many balances of the engine's, or as many of
    the ledger's again. `place` is None where the round is over.
    """

    event_seq: int
    settled_seq: int
    balances: int
    differences: tuple[Difference, ...]
    place: Place | None = None
    is_page: bool = False


def whole(target: str) -> Iterator[Piece]:
    """All pieces of a round."""
    place: Place | None = Place()
    while place is not None:
        yield (found := piece(target, place))
        place = found.place


def piece(target: str, place: Place) -> Piece:
    """Compare the piece that begins there. EngineAway; feed.EventsMissing; Break and UntradedAsset where the
    engine holds what the books do not know.
    """
    if place.after is not None:
        held = queries.held_after(place.after, most=AT_ONCE)
        then = None if held.place is None else Place(after=held.place)
        asked = sorted({account for account, _ in held.units} - {queries.UNKNOWN})
        return replace(_compared(target, held, feed.balances_of(target, asked), of=held.units), place=then)
    page, after = feed.balances_from(target, place.page)
    then = Place(page=after) if after else Place(after=queries.FIRST)
    held = queries.held_by(page.accounts)
    return replace(_compared(target, held, [page], of=None), place=then, is_page=True)


def of_accounts(target: str, accounts: Iterable[int]) -> Piece:
    """Compare these accounts alone."""
    asked = sorted(accounts)
    return _compared(target, queries.held_by(asked), feed.balances_of(target, asked), of=None)


def _compared(
    target: str, held: queries.Held, pages: Iterable[feed.Page], *, of: Mapping[tuple[int, str], int] | None
) -> Piece:
    """Each page is true at an event of its own, so what the ledger holds of its accounts is brought there."""
    engine: Movements = {}
    at: dict[int, int] = {}
    for page in pages:
        at.update(dict.fromkeys(page.accounts, page.event_seq))
        for (account, number), (available, on_hold) in page.found.items():
            engine[account, assets.code(number)] = available + on_hold
    reached = {held.settled_seq, *at.values()}
    ledger = dict(held.units)
    _bring(target, ledger, at, settled=held.settled_seq, first=min(reached) + 1, last=max(reached))
    if of is not None:
        engine = {key: units for key, units in engine.items() if key in of}
        ledger = {key: units for key, units in ledger.items() if key in of}
    else:
        ledger = {key: units for key, units in ledger.items() if key[0] in at}
    found = differences(engine=engine, ledger=ledger)
    return Piece(max(reached), held.settled_seq, len(engine), found)


def _bring(
    target: str, ledger: Movements, at: Mapping[int, int], *, settled: int, first: int, last: int
) -> None:
    """Add to each account what settlement had not reached at its event, or take back what it was ahead."""
    if first > last:
        return
    for batch in feed.read_range(target, first=first, last=last):
        for event in batch.events:
            for key, units in of_events([event]).items():
                to = at.get(key[0], settled)
                if settled < event.event_seq <= to:
                    ledger[key] = ledger.get(key, 0) + units
                elif to < event.event_seq <= settled:
                    ledger[key] = ledger.get(key, 0) - units
