"""Numbers for orders: taken from a database sequence in blocks, so that almost no order asks the database."""

from __future__ import annotations

import os
import threading
from typing import Final

from django.db import connection

BLOCK: Final = 1000
"""One step of the sequence. A block that a process did not use up is lost, which nothing minds."""


class _Block:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = ""
        self._next = self._end = 0

    def take(self, count: int) -> list[int]:
        with self._lock:
            database = str(connection.settings_dict["NAME"])
            if database != self._database:
                self._database, self._next, self._end = database, 0, 0
            numbers: list[int] = []
            while len(numbers) < count:
                if self._next == self._end:
                    self._next = _reserve()
                    self._end = self._next + BLOCK
                numbers.append(self._next)
                self._next += 1
            return numbers


def _reserve() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('engine_order_number')")
        return int(cursor.fetchone()[0]) * BLOCK


_block = _Block()


def _after_fork() -> None:
    """A child begins without its parent's numbers, and with a lock that nobody holds."""
    global _block
    _block = _Block()


os.register_at_fork(after_in_child=_after_fork)


def order_numbers(count: int) -> list[int]:
    """So many order numbers that nobody else has or will have."""
    return _block.take(count)
