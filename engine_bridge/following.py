"""Ledger and engine, followed from look to look: a look costs what moved since, not what there is.

Each reads what came into the ledger since the last, and the engine's events of the same stretch, and holds
one against the other: for each account, asset and kind of entry as much must have moved. Where they are apart
is remembered until what undoes it was booked. Beside that goes a round through all balances (`rounds`), some
pieces a look: it finds what was changed past the ledger's own rules, by the database's owner. Nothing good is
said before a first round is over, and all begins anew where the database's history is another.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Final

from engine_bridge import comparing, queries, rounds
from engine_bridge.adapters import feed
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.comparing import NotCompared
from engine_bridge.domain import assets
from engine_bridge.domain.movements import Break, Flows, flows_of
from engine_bridge.domain.records import FEE_ACCOUNT
from engine_bridge.followed import Followed, Stand
from engine_bridge.rounds import Place
from kernel.money import Amount

FOR_S: Final = 5.0
"""So long a look goes on with a round, or with what it is behind; the next one takes it up."""
EVENTS_AT_ONCE: Final = 50_000
SAID_MAX: Final = 1_000
"""Accounts that differ and are compared again by each look; of more than that the first are named."""


class MoreToCompare(NotCompared):
    """The next look goes on."""


class Following:
    """One engine, one ledger, and the file that knows how far they were followed."""

    def __init__(self, target: str, followed: Followed | None = None) -> None:
        self._target, self._followed = target, followed or Followed()

    def breaks(self) -> list[str]:
        """Where ledger and engine differ, in sentences as an operator is told them. NotCompared where the
        engine cannot be asked; MoreToCompare where not all was compared yet, and how much was.
        """
        until = time.monotonic() + FOR_S
        try:
            stand = self._followed.stand() or self._begin()
            stand, backwards = self._catch_up(stand, until)
            if backwards:
                return [backwards]
            found = self._doubted(stand)
            stand, differ = self._go_round(stand, until)
        except (EngineAway, feed.EventsMissing) as error:
            raise NotCompared(f"the venue was not compared: {error}") from error
        except (Break, assets.UntradedAsset) as error:
            return [f"The engine holds what the books do not know: {error}."]
        said = [*self._apart(), *found, *differ]
        if not said and not stand.round:
            raise MoreToCompare(f"{stand.compared} balances at the venue were compared, and more wait")
        return said

    def _begin(self) -> Stand:
        """Followed from now on, and all to be compared. What was apart before stays so."""
        news = queries.beginning()
        stand = Stand(news.until, news.settled_seq)
        self._followed.keep(stand)
        return stand

    def _catch_up(self, stand: Stand, until: float) -> tuple[Stand, str]:
        """Read what moved since; and that settlement stands where it was not before, if it does."""
        while True:
            news = queries.news(stand.mark)
            if news is None:
                return self._begin(), ""
            if news.settled_seq < stand.event_seq:
                return stand, (
                    f"Settlement stands at event {news.settled_seq} of the engine, and stood at"
                    f" {stand.event_seq} before."
                )
            reached = min(news.settled_seq, stand.event_seq + EVENTS_AT_ONCE)
            moved = Counter(news.flows)
            moved.subtract(self._told(stand.event_seq, reached))
            current = news.whole and reached == news.settled_seq
            stand = replace(stand, mark=news.until, event_seq=reached, is_current=current)
            self._followed.keep(stand, moved={key: units for key, units in moved.items() if units})
            if current:
                return stand, ""
            if time.monotonic() >= until:
                raise MoreToCompare(f"the ledger is read as of event {reached} of {news.settled_seq}")

    def _told(self, after: int, last: int) -> Flows:
        """What the engine's events behind `after`, up to `last`, move."""
        found: Counter[tuple[int, str, str]] = Counter()
        if after < last:
            for batch in feed.read_range(self._target, first=after + 1, last=last):
                found.update(flows_of(event for event in batch.events if event.event_seq <= last))
        return dict(found)

    def _doubted(self, stand: Stand) -> list[str]:
        """Those again whose balances differed, in sentences; whose are alike again are doubted no more."""
        doubted = self._followed.doubted()
        asked = [account for account in doubted if account != queries.UNKNOWN][:SAID_MAX]
        if not doubted:
            return []
        again = rounds.of_accounts(self._target, asked).differences
        differ = {item.account for item in again}
        cleared = [account for account in asked if account not in differ]
        said = [comparing.said(item) for item in again]
        if (seen := doubted.get(queries.UNKNOWN)) is not None:
            if seen + 1 < stand.round:  # a whole round found no such account any more
                cleared.append(queries.UNKNOWN)
            else:
                said.append(
                    "Somebody whom the engine does not know has a balance at the venue, in the ledger."
                )
        self._followed.keep(stand, cleared=cleared)
        return said

    def _go_round(self, stand: Stand, until: float) -> tuple[Stand, list[str]]:
        """So many pieces of the round as there is time for, with where they differ."""
        while True:
            piece = rounds.piece(self._target, stand.place)
            over = piece.place is None
            stand = replace(
                stand,
                place=piece.place or Place(),
                round=stand.round + over,
                compared=0 if over else stand.compared + piece.balances,
            )
            doubted = self._followed.doubted().keys()
            self._followed.keep(stand, doubted={item.account for item in piece.differences})
            new = [comparing.said(item) for item in piece.differences if item.account not in doubted]
            if piece.differences or over or time.monotonic() >= until:
                return stand, new

    def _apart(self) -> list[str]:
        """What moved in one and not in the other."""
        return [
            f"{'The venue itself' if account == FEE_ACCOUNT else f'Account {account}'} at the venue: entries"
            f" {kind} moved {Amount(abs(units), asset)} {asset} {'more' if units > 0 else 'less'} in the"
            " ledger than the engine did."
            for (account, asset, kind), units in list(self._followed.apart().items())[:SAID_MAX]
        ]
