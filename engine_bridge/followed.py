"""How far ledger and engine were followed, and where they are apart, in a file beside the reconciler's key.

The database's owner cannot reach it. If it is lost, all is compared anew, and nothing is said until it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from core.ledger.since import Mark
from engine_bridge.domain.movements import Flows
from engine_bridge.rounds import Place

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS stand (
  one INTEGER PRIMARY KEY CHECK (one = 1), history TEXT, snapshot TEXT, posting INTEGER, event_seq INTEGER,
  is_current INTEGER, page INTEGER, after TEXT, round INTEGER, compared INTEGER);
CREATE TABLE IF NOT EXISTS apart (
  account INTEGER, asset TEXT, kind TEXT, units TEXT, PRIMARY KEY (account, asset, kind)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS doubted (account INTEGER PRIMARY KEY, round INTEGER);
"""
_SEEN: Final = "SELECT units FROM apart WHERE account = ? AND asset = ? AND kind = ?"
_GONE: Final = "DELETE FROM apart WHERE account = ? AND asset = ? AND kind = ?"


@dataclass(frozen=True, slots=True)
class Stand:
    """The ledger was read up to `mark`, the engine's events up to `event_seq`; both at one event where it is
    `current`. A round goes on at `place`; the first one, 0, has compared `compared` balances so far.
    """

    mark: Mark
    event_seq: int
    is_current: bool = True
    place: Place = Place()  # noqa: RUF009 - frozen
    round: int = 0
    compared: int = 0


class Followed:
    """The file; without a path, what it knows ends with the process."""

    def __init__(self, path: Path | None = None) -> None:
        # Whoever answers is one thread at a time, and not always the same.
        self._file = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._file.executescript(_TABLES)

    def stand(self) -> Stand | None:
        """None where nothing was followed yet."""
        row = self._file.execute("SELECT * FROM stand").fetchone()
        if row is None:
            return None
        _, history, snapshot, posting, event_seq, is_current, page, after, number, compared = row
        place = Place(page, UUID(after) if after else None)
        return Stand(Mark(history, snapshot, posting), event_seq, bool(is_current), place, number, compared)

    def apart(self) -> Flows:
        """By how much the ledger moved more than the engine says, since it is followed."""
        rows = self._file.execute("SELECT account, asset, kind, units FROM apart ORDER BY 1, 2, 3")
        return {(account, asset, kind): int(units) for account, asset, kind, units in rows}

    def doubted(self) -> dict[int, int]:
        """Accounts whose balances differed, each with the round that found it last."""
        return dict(self._file.execute("SELECT account, round FROM doubted ORDER BY account"))

    def keep(
        self,
        stand: Stand,
        *,
        moved: Mapping[tuple[int, str, str], int] | None = None,
        doubted: Iterable[int] = (),
        cleared: Iterable[int] = (),
    ) -> None:
        """All of it or nothing: how far it is, what moved apart on the way, who differs and who does not."""
        mark, place = stand.mark, stand.place
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.execute(
                "INSERT OR REPLACE INTO stand VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(mark.history, mark.snapshot, mark.posting, stand.event_seq, stand.is_current),
                    *(place.page, str(place.after) if place.after else None, stand.round, stand.compared),
                ],
            )
            for key, units in (moved or {}).items():
                self._move(key, units)
            self._file.executemany(
                "INSERT OR REPLACE INTO doubted VALUES (?, ?)", [(one, stand.round) for one in doubted]
            )
            self._file.executemany("DELETE FROM doubted WHERE account = ?", [(one,) for one in cleared])
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    def _move(self, key: tuple[int, str, str], units: int) -> None:
        before = self._file.execute(_SEEN, key).fetchone()
        after = units + (int(before[0]) if before else 0)
        if after:
            self._file.execute("INSERT OR REPLACE INTO apart VALUES (?, ?, ?, ?)", [*key, str(after)])
        else:
            self._file.execute(_GONE, key)
