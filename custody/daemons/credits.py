"""The credits against no coins for which the reconciler has seen officers' signatures: a line for each.

`ASSET UNITS REFERENCE`. An officer who left the registry signed for old ones all the same, so each is checked
once and remembered. The file lies beside the key, where the database's owner cannot reach it.
"""

from __future__ import annotations

import os
from collections import Counter
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
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        self._known = {one.reference: one for one in map(Known.read, lines)}

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
