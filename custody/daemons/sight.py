"""Since when a wallet was not compared whole, and why: what cannot be looked at for too long is a break.

Else whoever has the worker's role could keep the reconciler from looking (a lock, a block that no node has),
and be paid on its last good word for as long as signers take that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from custody.domain.reconciliations import BLIND

PATIENCE: Final = timedelta(minutes=2)
"""A node, a database or an engine that starts again, a migration's lock and a reorganisation take less."""
_NOT_BACK: Final = "the last look has not come back"


@dataclass(slots=True)
class _Seen:
    """When the last look began that compared everything, and what it saw."""

    at: datetime
    height: int = 1
    units: int = 0
    why: str = _NOT_BACK
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Blind:
    """A wallet that was not compared for too long, with the block and the units of when it last was."""

    height: int
    units: int
    sentence: str


class Sight:
    """Of each wallet, when it was compared last. Its owner sees to it that one thread at a time asks."""

    def __init__(self, wallets: Iterable[str], *, now: datetime, patience: timedelta = PATIENCE) -> None:
        self._patience = patience
        self._seen = {wallet: _Seen(now) for wallet in wallets}

    def compared(self, wallet: str, *, began: datetime, height: int, units: int) -> None:
        """A look that began then compared everything, whatever it found."""
        self._seen[wallet] = _Seen(began, height, units)

    def missed(self, wallet: str, why: str) -> None:
        """A look came back without."""
        self._seen[wallet].why = why

    def blind(self, wallet: str, *, now: datetime, again: bool) -> Blind | None:
        """That nobody could look for too long; `again`, though it was said since it last was compared."""
        seen = self._seen[wallet]
        missing = abs(now - seen.at)  # a clock that was far ahead excuses nothing
        if missing <= self._patience or (seen.is_told and not again):
            return None
        seen.is_told = True
        return Blind(
            seen.height,
            seen.units,
            f"{BLIND} {wallet} for {int(missing.total_seconds())} s: {seen.why.rstrip('.')}.",
        )
