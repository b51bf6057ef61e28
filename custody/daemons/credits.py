"""The credits against no coins for which the reconciler has seen officers' signatures: a line for each.

`ASSET UNITS REFERENCE`. An officer who left the registry signed for old ones all the same, so each is checked
once and remembered. The file lies beside the key, where the database's owner cannot reach it, and beside it
another (`.seen`) that says when the books were read the last time: what came into them later was not there,
whatever time it says. Where either is lost, the first look believes the times in the books, once.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from custody.domain.credits import Credit


class BadFile(ValueError):
    """A line of the file is no credit."""


class Known(NamedTuple):
    """What one line says."""

    asset: str
    units: int
    reference: str

    @classmethod
    def read(cls, line: str) -> Known:
        """From a line; BadFile."""
        try:
            asset, units, reference = line.split(" ")
            return cls(asset, int(units), reference)
        except ValueError:
            raise BadFile(f"a line is ASSET UNITS REFERENCE, and this is not: {line[:80]!r}") from None


class Credits:
    """The file, read once; without a path, what is remembered ends with the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, Known] = {}
        self._seen_at: datetime | None = None
        self._unsigned: dict[str, datetime | None] = {}  # those that nobody signed for, and their `absent`
        if path is None:
            return
        beside = _beside(path)
        if not path.exists():
            beside.unlink(missing_ok=True)
        else:
            self._known = {one.reference: one for one in map(Known.read, path.read_text().splitlines())}
            if beside.exists():
                self._seen_at, self._unsigned = _seen(beside.read_text())

    @property
    def references(self) -> frozenset[str]:
        """Which need not be checked again."""
        return frozenset(self._known)

    @property
    def units(self) -> dict[str, int]:
        """By asset, what all come to."""
        found: Counter[str] = Counter()
        for one in self._known.values():
            found[one.asset] += one.units
        return dict(found)

    def add(self, credit: Credit) -> None:
        """Remember one whose signatures hold, over a crash as well."""
        one = Known(credit.asset, credit.units, credit.reference)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(f"{one.asset} {one.units} {one.reference}\n")
                file.flush()
                os.fsync(file.fileno())
        self._known[one.reference] = one

    def absent(self, reference: str) -> datetime | None:
        """When the books were last read without this one in them; None where that is not known."""
        return self._unsigned.get(reference, self._seen_at)

    def seen(self, at: datetime, *, unsigned: Collection[str]) -> None:
        """The books were read then, and had these beside those that are known, and no more."""
        self._unsigned = {one: self.absent(one) for one in unsigned}
        self._seen_at = at
        if self._path is not None:
            self._path.touch()
            said = {one: moment and moment.isoformat() for one, moment in self._unsigned.items()}
            beside = _beside(self._path)
            fresh = beside.with_name(f"{beside.name}.new")
            with fresh.open("w") as file:
                json.dump({"at": at.isoformat(), "unsigned": said}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(beside)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.seen")


def _seen(text: str) -> tuple[datetime, dict[str, datetime | None]]:
    try:
        said = json.loads(text)
        unsigned = {str(one): at and datetime.fromisoformat(at) for one, at in said["unsigned"].items()}
        return datetime.fromisoformat(said["at"]), unsigned
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadFile(f"it does not say when the books were read: {text[:80]!r}") from None
