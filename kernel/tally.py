"""Which refusals are written down whole, and which are only counted: nobody fills a disk with nonsense.

Of each code and each user the first refusals are written whole, and after them one a minute; one more line a
minute says how many came beside them. So a flood shows at once, from its first refusal on, and costs a few
lines a minute for each code. What was signed, opened or ordered is no refusal: it is never counted away.
"""

from __future__ import annotations

from typing import Final

from kernel import canonical

FIRST: Final = 10
EVERY_MS: Final = 60_000

Counts = dict[str, canonical.Value]
"""By user, and in it by code, numbers as text: as they stand in a line."""


class Tally:
    """The refusals of one program. Bounded: users and codes are few."""

    def __init__(self) -> None:
        self._credit: dict[tuple[str, str], tuple[int, int]] = {}  # in milliseconds, and when
        self._counted: dict[str, dict[str, int]] = {}
        self._since_ms = 0

    def admits(self, user: str, code: str, *, now_ms: int) -> bool:
        """Whether this one is written whole; else it is counted."""
        credit, at_ms = self._credit.get((user, code), (FIRST * EVERY_MS, now_ms))
        credit = min(credit + max(now_ms - at_ms, 0), FIRST * EVERY_MS)
        whole = credit >= EVERY_MS
        self._credit[user, code] = credit - EVERY_MS * whole, now_ms
        if not whole:
            self.count(user, code, now_ms=now_ms)
        return whole

    def count(self, user: str, code: str, *, now_ms: int) -> None:
        """One that could not be written."""
        if not self._counted:
            self._since_ms = now_ms
        codes = self._counted.setdefault(user, {})
        codes[code] = codes.get(code, 0) + 1

    def due(self, *, now_ms: int) -> Counts:
        """By user and code, how many were only counted, once a minute has gone by; nothing before."""
        return self.counted if not 0 <= now_ms - self._since_ms < EVERY_MS else {}

    @property
    def counted(self) -> Counts:
        """The same, without waiting for the minute."""
        return {
            user: {code: str(times) for code, times in codes.items()} for user, codes in self._counted.items()
        }

    def told(self) -> None:
        """The line with these numbers is on the disk."""
        self._counted = {}
