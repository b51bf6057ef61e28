"""The sealer's comparison of what it seals with what the writers told it, and what follows if they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from core import clock
from core.actor import system
from core.audit import queries
from core.audit.actions.gone import report_gone, report_lost, report_more_gone
from core.audit.domain.testimonies import Gone, Heard
from core.audit.hearing import Ear

LOST_EVERY: Final = timedelta(minutes=1)
"""Between two reports of lost testimonies: where many are lost, their reports must not add to the flood."""
LOOK_UPS: Final = 100
"""At a time, in the tree. Honest writers hardly ever need one."""
ALARMS_EVERY: Final = timedelta(minutes=1)
ALARMS: Final = 20
"""So often within that time an event is named; then the others are counted. Whoever raises false alarms keeps
nothing from being sealed by them, and fills no log."""


class Comparison:
    """One sealer's, as long as it lives. What it remembers is its own: the database's owner is not asked."""

    def __init__(self, ear: Ear) -> None:
        self._ear, self._heard = ear, Heard(cursor=queries.cursor())
        self._lost, self._lost_at = 0, datetime.min.replace(tzinfo=UTC)
        self._alarms, self._more, self._alarms_since = 0, 0, datetime.min.replace(tzinfo=UTC)

    def begin(self, *, now: datetime) -> None:
        """Take in what was told since the last time."""
        # First what was told, while the cursor is the one that it was told under: where somebody else has
        # moved that on, past events that nobody sealed, these wait for an answer, and are looked up below.
        self._report(self._heard.hear(self._ear.take()), now=now)
        asked = self._heard.to_look_up(queries.cursor(), limit=LOOK_UPS)
        looked_up = ((number, told, queries.sealed_as(number)) for number, told in asked)
        self._report((Gone(*one) for one in looked_up if one[1] != one[2]), now=now)
        lost = self._ear.unheard + self._heard.given_up
        if lost > self._lost and now >= self._lost_at + LOST_EVERY:
            report_lost(count=lost - self._lost, actor=system("sealer"), now=now)
            self._lost, self._lost_at = lost, now

    def sealed(self, events: Sequence[tuple[int, bytes]]) -> None:
        """A batch has just been sealed."""
        self._report(self._heard.sealed(events), now=clock.now())

    def _report(self, found: Iterable[Gone], *, now: datetime) -> None:
        if not self._alarms_since <= now < self._alarms_since + ALARMS_EVERY:
            if self._more:
                report_more_gone(count=self._more, actor=system("sealer"), now=now)
            self._alarms, self._more, self._alarms_since = 0, 0, now
        for gone in found:
            if self._alarms < ALARMS:
                self._alarms += 1
                report_gone(gone=gone, actor=system("sealer"), now=now)
            else:
                self._more += 1
