"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7).

Chance is fetched from the system in pieces, since asking for it lets every other thread go first: for an
order that costs more than all the rest. The ids are unique, not secret; secrets are drawn elsewhere.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final
from uuid import UUID, SafeUUID

_PIECE: Final = 4000
_EACH: Final = 10
_FIXED: Final = 0x7 << 76 | 0b10 << 62
"""Version and variant, in the low 80 bits."""
_RANDOM: Final = 0xFFF << 64 | (1 << 62) - 1
"""Where chance stands among them."""
_blank: Final = UUID.__new__
_put: Final = object.__setattr__


class _Chance(threading.local):
    """The low 80 bits of this thread's next ids, each handed out once."""

    left: Iterator[int] = iter(())

    def draw(self) -> int:
        for number in self.left:
            return number
        self._fetch()
        return next(self.left)

    def draw_many(self, count: int) -> list[int]:
        found = list(islice(self.left, count))
        while len(found) < count:
            self._fetch()
            found += islice(self.left, count - len(found))
        return found

    def _fetch(self) -> None:
        piece = os.urandom(_PIECE)
        drawn = [int.from_bytes(piece[at : at + _EACH]) for at in range(0, _PIECE, _EACH)]
        self.left = iter([number & _RANDOM | _FIXED for number in drawn])


_chance = _Chance()


def _after_fork() -> None:
    """A child shares no random bytes with its parent."""
    global _chance
    _chance = _Chance()


os.register_at_fork(after_in_child=_after_fork)


def new_id() -> UUID:
    """A fresh UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    return _uuid(time.time_ns() // 1_000_000 << 80 | _chance.draw())


def new_id_numbers(count: int) -> list[int]:
    """So many of the same moment, as numbers of 128 bits: objects would cost more than all the rest."""
    moment = time.time_ns() // 1_000_000 << 80
    return [moment | low for low in _chance.draw_many(count)]


def _uuid(number: int) -> UUID:
    """The UUID of a number known to have 128 bits: made as `uuid` makes it, without asking what it was given,
    which takes most of its time.
    """
    found = _blank(UUID)
    _put(found, "int", number)
    _put(found, "is_safe", SafeUUID.unknown)
    return found
