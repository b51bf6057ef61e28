"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7).

Chance is fetched from the system in pieces, since asking for it lets every other thread go first: for an
order that costs more than all the rest. The ids are unique, not secret; secrets are drawn elsewhere.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Final
from uuid import UUID

_PIECE: Final = 4000
_EACH: Final = 10
_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_LOW: Final = 2**62 - 1


class _Chance(threading.local):
    """Random bytes of this thread, each handed out once."""

    left: Iterator[int] = iter(())

    def draw(self) -> int:
        for number in self.left:
            return number
        piece = os.urandom(_PIECE)
        self.left = iter([int.from_bytes(piece[at : at + _EACH]) for at in range(0, _PIECE, _EACH)])
        return next(self.left)


_chance = _Chance()


def _after_fork() -> None:
    """A child shares no random bytes with its parent."""
    global _chance
    _chance = _Chance()


os.register_at_fork(after_in_child=_after_fork)


def new_id() -> UUID:
    """A fresh UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    chance = _chance.draw()
    milliseconds = time.time_ns() // 1_000_000
    high = milliseconds << 80 | _VERSION | (chance >> 62 & 0xFFF) << 64
    return UUID(int=high | _VARIANT | chance & _LOW)
