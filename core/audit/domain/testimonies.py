"""What writers said that they committed, against what the sealer found. Pure.

Between an event's commit and its seal, the database's owner could change or remove it, and the tree would
know nothing else. So whoever writes an event tells the sealer its number and hash, past the database; here
both are compared. A testimony may come before or after the event is sealed, or never: then nothing is known,
and nothing is said.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

OPEN_MAX: Final = 200_000
"""Testimonies that wait for their event; more only where nothing is sealed, then the oldest are given up."""
KEPT_MAX: Final = 50_000
"""Sealed events that a late one is still compared with: half a minute's at full speed."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An event that was committed as `told`, and was `found` otherwise: None where it was not there."""

    number: int
    told: bytes
    found: bytes | None


@dataclass(slots=True)
class Heard:
    """The testimonies that one sealer heard. `cursor` is the last event that it has sealed, `given_up` counts
    those that waited too long among too many.

    Whoever tells of an event what another told otherwise is not believed and not passed over: a process that
    was taken over can hide nothing that way, and no event that somebody else wrote.
    """

    cursor: int
    given_up: int = 0
    _open: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    _late: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    _kept: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    _first_kept: int = field(init=False)

    def __post_init__(self) -> None:
        self._first_kept = self.cursor + 1  # of what was sealed before nothing is remembered

    def hear(self, testimonies: Iterable[tuple[int, bytes]]) -> list[Gone]:
        """Take these in; what is wrong with those whose events should have been sealed by now."""
        gone = []
        for number, told in testimonies:
            if self._first_kept <= number <= self.cursor:
                before = self._kept.get(number)
            else:
                before = self._wait(self._open if number > self.cursor else self._late, number, told)
            if before != told:
                gone.append(Gone(number, told, before))
        return gone

    def to_look_up(self, cursor: int, *, limit: int) -> list[tuple[int, bytes]]:
        """So many, at most, of those of which the tree alone can say what was sealed: what another sealer has
        gone on to, up to that cursor, and what was sealed before anything is remembered of.
        """
        if cursor != self.cursor:
            for number in [number for number in self._open if number <= cursor]:
                self._wait(self._late, number, self._open.pop(number))
            self.cursor, self._first_kept = cursor, cursor + 1
            self._kept.clear()
        return [self._late.popitem(last=False) for _ in range(min(limit, len(self._late)))]

    def sealed(self, events: Sequence[tuple[int, bytes]]) -> list[Gone]:
        """The next events in the tree, in order; what is wrong with those up to the last of them."""
        take = self._open.pop
        gone = [
            Gone(number, told, found) for number, found in events if (told := take(number, found)) != found
        ]
        self._kept.update(events)
        self.cursor = events[-1][0]
        while len(self._kept) > KEPT_MAX:
            self._first_kept = self._kept.popitem(last=False)[0] + 1
        missing = [number for number in self._open if number <= self.cursor]
        return gone + [Gone(number, self._open.pop(number), None) for number in missing]

    def _wait(self, among: OrderedDict[int, bytes], number: int, told: bytes) -> bytes:
        """Keep it with them; what was told of the event first."""
        before = among.setdefault(number, told)
        if len(among) > OPEN_MAX:
            among.popitem(last=False)
            self.given_up += 1
        return before
