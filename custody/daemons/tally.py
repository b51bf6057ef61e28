"""What all accounts of the ledger come to, kept from look to look in a file beside the key.

A round goes through the accounts, a piece a look; what is booked meanwhile to those that were counted already
is added. At its end the sums are those of all accounts at one moment, and are carried on by what is booked
until the next round ends. Whatever a role writes is in the next look's sums; what the database's owner makes
of an account past the ledger's rules comes with the round.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from core.ledger import since
from custody import queries
from custody.daemons.looking import MoreToSee
from custody.queries.tally import Kind, Sum

PIECE: Final = 200_000
"""Accounts in one piece."""
FOR_S: Final = 10.0
"""So long a look goes on with the first round; the next one takes it up."""
FIRST: Final = UUID(int=0)

Sums = dict[Kind, Sum]


@dataclass(frozen=True, slots=True)
class Count:
    """`sums` as of `mark`, from the last whole round (none, before the first); `some` are those of the
    accounts up to `place`, `accounts` of them.
    """

    mark: since.Mark
    sums: Sums = field(default_factory=dict)
    some: Sums = field(default_factory=dict)
    place: UUID = FIRST
    accounts: int = 0
    is_whole: bool = False


class Tally:
    """The file; without a path, what was counted ends with the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS count (one INTEGER PRIMARY KEY CHECK (one = 1), said TEXT)"
        )

    def go_round(self) -> None:
        """Read what was booked, and count all accounts once, if that was not done; MoreToSee where it takes
        longer than a look may.
        """
        until = time.monotonic() + FOR_S
        while True:
            with transaction.atomic():
                if not connection.savepoint_ids:
                    with connection.cursor() as cursor:
                        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                count, is_current = self._further()
            if is_current and count.is_whole:
                return
            if time.monotonic() >= until:
                what = (
                    "were counted" if not count.is_whole else "were counted before; what was booked is read"
                )
                raise MoreToSee(f"{count.accounts} accounts {what}, and more wait")

    def sums(self) -> Sums:
        """As of the open transaction, which sees one moment throughout; MoreToSee. The house's own accounts
        are read as they are: they are few.
        """
        count, is_current = self._further()
        if not (count.is_whole and is_current):
            raise MoreToSee("what was booked meanwhile is more than one look reads")
        return count.sums | queries.of_the_house()

    def _further(self) -> tuple[Count, bool]:
        """Carry all on to now, as far as one reading goes, and count another piece."""
        count = self._count()
        booked = queries.booked_since(count.mark, place=count.place) if count is not None else None
        if count is None or booked is None:
            count, is_current = Count(since.now()), True
        else:
            sums, some = _moved(count.sums, booked.moved), _moved(count.some, booked.counted)
            count, is_current = replace(count, mark=booked.until, sums=sums, some=some), booked.whole
        if is_current:  # accounts are read as of now, so what was booked must be as well
            count = self._counted(count)
        self._keep(count)
        return count, is_current

    def _counted(self, count: Count) -> Count:
        """With another piece of the round, at whose end all were counted."""
        piece = queries.accounts_after(count.place, most=PIECE)
        if piece.place is None:
            return replace(count, sums=count.some, some={}, place=FIRST, accounts=0, is_whole=True)
        known = {kind: one for kind, one in piece.sums.items() if kind in count.sums}
        return replace(
            count,
            some=_added(count.some, piece.sums),
            sums=_lowered(count.sums, known),
            place=piece.place,
            accounts=count.accounts + PIECE,
        )

    def _count(self) -> Count | None:
        row = self._file.execute("SELECT said FROM count").fetchone()
        if row is None:
            return None
        said: dict[str, Any] = json.loads(row[0])
        return Count(
            since.Mark(*said["mark"]),
            _read(said["sums"]),
            _read(said["some"]),
            UUID(said["place"]),
            said["accounts"],
            said["is_whole"],
        )

    def _keep(self, count: Count) -> None:
        said = {
            "mark": [count.mark.history, count.mark.snapshot, count.mark.posting],
            "sums": [[*kind, *one] for kind, one in count.sums.items()],
            "some": [[*kind, *one] for kind, one in count.some.items()],
            "place": str(count.place),
            "accounts": count.accounts,
            "is_whole": count.is_whole,
        }
        self._file.execute("INSERT OR REPLACE INTO count VALUES (1, ?)", [json.dumps(said)])


def _read(rows: Iterable[list[Any]]) -> Sums:
    return {(asset, kind): Sum(*numbers) for asset, kind, *numbers in rows}


def _moved(sums: Sums, moved: Mapping[Kind, int]) -> Sums:
    found = dict(sums)
    for kind, units in moved.items():
        if units:
            before = found.get(kind, Sum(0, 0, 0))
            found[kind] = before._replace(units=before.units + units)
    return found


def _added(sums: Sums, more: Mapping[Kind, Sum]) -> Sums:
    found = dict(sums)
    for kind, one in more.items():
        before = found.get(kind, Sum(0, one.low, one.high))
        found[kind] = Sum(before.units + one.units, min(before.low, one.low), max(before.high, one.high))
    return found


def _lowered(sums: Sums, more: Mapping[Kind, Sum]) -> Sums:
    """The least and the greatest account, also as this round found it before its end."""
    found = dict(sums)
    for kind, one in more.items():
        before = found[kind]
        found[kind] = before._replace(low=min(before.low, one.low), high=max(before.high, one.high))
    return found
