"""The sealer's comparison of what it seals with what the writers told it, and what follows if they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from core import clock
from core.actor import system
from core.audit import queries
from core.audit.actions.gone import report_gone, report_lost
from core.audit.domain.testimonies import Gone, Heard
from core.audit.hearing import Ear

LOST_EVERY: Final = timedelta(minutes=1)
"""Between two reports of lost testimonies: where many are lost, their reports must not add to the flood."""


class Comparison:
    """One sealer's, as long as it lives. What it remembers is its own: the database's owner is not asked."""

    def __init__(self, ear: Ear) -> None:
        self._ear, self._heard = ear, Heard(cursor=queries.cursor())
        self._lost, self._lost_at = 0, datetime.min.replace(tzinfo=UTC)

    def begin(self, *, now: datetime) -> None:
        """Take in what was told since the last time."""
        for number, told in self._heard.resumed(queries.cursor()):
            found = queries.sealed_as(number)
            if found != told:
                self._report([Gone(number, told, found)], now=now)
        self._report(self._heard.hear(self._ear.take()), now=now)
        lost = self._ear.unheard + self._heard.given_up
        if lost > self._lost and now >= self._lost_at + LOST_EVERY:
            report_lost(count=lost - self._lost, actor=system("sealer"), now=now)
            self._lost, self._lost_at = lost, now

    def sealed(self, events: Sequence[tuple[int, bytes]]) -> None:
        """A batch has just been sealed."""
        self._report(self._heard.sealed(events), now=clock.now())

    def _report(self, found: Iterable[Gone], *, now: datetime) -> None:
        for gone in found:
            report_gone(gone=gone, actor=system("sealer"), now=now)
