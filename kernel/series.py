"""Numbers by their moments, taken together as they come: no payment goes through all those before it."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable


class Series:
    """What numbers come to up to any moment: their sum, or the largest. Nothing comes to 0."""

    def __init__(self, together: Callable[[int, int], int] = operator.add) -> None:
        self._together = together
        self._moments: list[int] = []
        self._upto: list[int] = []

    def add(self, at_ms: int, number: int) -> None:
        """One more, nearly always the newest. Where officers put the clock back, it comes between others."""
        place = bisect_right(self._moments, at_ms)
        later = [self.upto(at_ms), *self._upto[place:]]
        self._moments.insert(place, at_ms)
        self._upto[place:] = [self._together(one, number) for one in later]

    def upto(self, at_ms: int) -> int:
        """What those of this moment and before come to."""
        place = bisect_right(self._moments, at_ms)
        return self._upto[place - 1] if place else 0

    def since(self, at_ms: int) -> int:
        """The sum of those after this moment."""
        return self._upto[-1] - self.upto(at_ms) if self._upto else 0
