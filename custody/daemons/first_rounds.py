"""The first rounds of a reconciler that is to come, beside the one that runs: in files of its own.

Before all was looked at once, in full, a reconciler says nothing good, and the lane is shut (docs/adr/0069).
Where one that keeps no such files is replaced, this makes them meanwhile. It signs nothing, tells nobody, and
has no node scan its coins: that is the other's.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from custody.adapters.bitcoin import BitcoinNode
from custody.daemons.looking import Looking, MoreToSee
from custody.daemons.shown import Shown
from custody.daemons.tally import Tally
from engine_bridge.followed import Followed
from engine_bridge.following import Following, MoreToCompare
from kernel.registry import Registry

SHOWN: Final = "shown"


def carry_over(running: Path, folder: Path) -> bool:
    """Copy what the chain has shown to the one that runs, whole, unless it was done; whether it did.

    No two processes write one such file: each counts in its own memory what it added.
    """
    if (folder / SHOWN).exists() or not running.exists():
        return False
    part = folder / f"{SHOWN}.part"
    part.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{running}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
    part.rename(folder / SHOWN)
    return True


class FirstRounds:
    """Those through accounts, bookings and balances at the venue. Killed anywhere, the next goes on."""

    def __init__(self, *, folder: Path, node: BitcoinNode, registry: Registry, engine: str) -> None:
        self._shown, self._tally = Shown(folder / SHOWN), Tally(folder / "tally")
        self._looking = Looking(node=node, registry=registry, shown=self._shown)
        self._followed = Followed(folder / "followed")
        self._venue = Following(engine, self._followed)

    def step(self, *, now: datetime) -> tuple[list[str], list[str]]:
        """Go on for so long as a look does. What still waits, in sentences; and what differs at the venue.

        What was looked at once is carried on by what came since, each time.
        """
        waits, differs = [], []
        try:
            self._tally.go_round()
        except MoreToSee as more:
            waits.append(str(more))
        one = self._shown.round()
        if one is None or not one.number:
            try:
                self._looking.go_round(now=now)
            except MoreToSee as more:
                waits.append(str(more))
        try:
            differs = self._venue.breaks()
        except MoreToCompare as more:
            waits.append(str(more))
        stand = self._followed.stand()
        if differs and (stand is None or not stand.round):
            waits.append("not all balances at the venue were compared")
        return waits, differs
