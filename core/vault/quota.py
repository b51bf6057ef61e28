"""How many people one may look at within an hour."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

WINDOW_S: Final = 3600.0


@dataclass(slots=True)
class Quota:
    """Distinct people per key (a caller, an actor) within the last hour; the same person again is free."""

    limit: int
    _seen: dict[str, OrderedDict[str, float]] = field(default_factory=dict)

    def admits(self, key: str, person: str, *, now_s: float) -> bool:
        """Whether one more is within the limit. Nothing is counted yet."""
        people = self._lately(key, now_s)
        return person in people or len(people) < self.limit

    def count(self, key: str, person: str, *, now_s: float) -> None:
        """This person was opened for that key."""
        people = self._seen.setdefault(key, OrderedDict())
        people[person] = now_s
        people.move_to_end(person)

    def _lately(self, key: str, now_s: float) -> OrderedDict[str, float]:
        people = self._seen.get(key, OrderedDict())
        while people and next(iter(people.values())) <= now_s - WINDOW_S:
            people.popitem(last=False)
        if not people:
            self._seen.pop(key, None)
        return people
