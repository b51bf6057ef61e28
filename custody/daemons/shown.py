"""What the chain has shown of deposits and payments that were booked, each once, in a file beside the key.

Each costs a few questions to the node, once. The database's owner cannot reach the file, so nobody counts a
coin twice. If it is lost, it is made again from the node. (In a file of before it was seen whom each credits,
the table is another, so all are looked for again.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from custody.domain.booked import Place

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS credited (coin TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payment (coin TEXT PRIMARY KEY, txid TEXT NOT NULL, fee INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS payment_txid ON payment (txid);
CREATE TABLE IF NOT EXISTS round (
  one INTEGER PRIMARY KEY CHECK (one = 1), since TEXT, place INTEGER, after TEXT, rows INTEGER,
  number INTEGER);
"""


@dataclass(frozen=True, slots=True)
class Round:
    """How far a round through all bookings has come: `rows` of them. What was booked since before the last
    look that agreed, `since`, is looked for by each look. Before the first round is over `number` is 0.
    """

    since: datetime
    place: Place = Place()  # noqa: RUF009 - frozen
    rows: int = 0
    number: int = 0


class Shown:
    """The file; without a path, what was shown ends with the process.

    A payment is told by the first coin that it spends, which all its versions do: so it counts once, with the
    fee of the one that the chain had last.
    """

    def __init__(self, path: Path | None = None) -> None:
        # Whoever answers is one thread at a time, and not always the same.
        self._file = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._file.executescript(_TABLES)
        self.deposits = int(self._value("SELECT count(*) FROM credited"))
        self.payments = int(self._value("SELECT count(*) FROM payment"))
        self.fees = int(self._value("SELECT coalesce(sum(fee), 0) FROM payment"))

    def has_deposit(self, coin: str) -> bool:
        """Whether it was shown."""
        return bool(self._value("SELECT count(*) FROM credited WHERE coin = ?", coin))

    def has_payment(self, txid: str) -> bool:
        """Whether this transaction was the last that the chain had of its payment."""
        return bool(self._value("SELECT count(*) FROM payment WHERE txid = ?", txid))

    def add_deposit(self, coin: str) -> None:
        """The chain has it."""
        self.deposits += self._file.execute("INSERT OR IGNORE INTO credited VALUES (?)", [coin]).rowcount

    def add_payment(self, coin: str, txid: str, fee: int) -> None:
        """The chain has it, and had another version before, perhaps."""
        before = self._file.execute("SELECT fee FROM payment WHERE coin = ?", [coin]).fetchone()
        self._file.execute("INSERT OR REPLACE INTO payment VALUES (?, ?, ?)", [coin, txid, fee])
        self.payments += before is None
        self.fees += fee - (before[0] if before else 0)

    def round(self) -> Round | None:
        """None before the first began."""
        row = self._file.execute("SELECT since, place, after, rows, number FROM round").fetchone()
        if row is None:
            return None
        since, table, after, rows, number = row
        return Round(datetime.fromisoformat(since), Place(table, UUID(after)), rows, number)

    def keep(self, one: Round) -> None:
        """Over a crash as well."""
        self._file.execute(
            "INSERT OR REPLACE INTO round VALUES (1, ?, ?, ?, ?, ?)",
            [one.since.isoformat(), one.place.table, str(one.place.after), one.rows, one.number],
        )

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is added within is written at once: each for itself waits for the disk."""
        self._file.execute("BEGIN")
        try:
            yield
        finally:
            self._file.execute("COMMIT")

    def _value(self, sql: str, *values: str) -> int:
        return int(self._file.execute(sql, values).fetchone()[0])
