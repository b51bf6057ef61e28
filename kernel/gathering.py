"""Waiting for those who are at work already, so that what costs each of them the same is done once for many.

Pure: the room, and with it the clock, is the caller's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from kernel.seats import Room

WAIT_S: Final = 0.1


class Gathering:
    """Who is at work, in a place where so many can be at once, and who waits until it has room for more."""

    def __init__(self, room: Room, *, places: int = 1) -> None:
        self._room, self._places = room, places
        self._begun, self._working = 0, set[int]()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """At work from here on."""
        with self._room:
            self._begun = mine = self._begun + 1
            self._working.add(mine)
            self._room.notify_all()  # whoever waits may find that it was done with this one's
        try:
            yield
        finally:
            with self._room:
                self._working.remove(mine)
                self._room.notify_all()

    def wait(self, done: Callable[[], bool]) -> None:
        """Until a place is free of those that were at work before, or it is done, or WAIT_S are over.

        Whoever begins later is not waited for, so nobody who works without end keeps anybody here.
        """
        with self._room:
            before = frozenset(self._working)
            self._room.wait_for(lambda: done() or len(before & self._working) < self._places, WAIT_S)
