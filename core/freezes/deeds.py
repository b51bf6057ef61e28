"""What no transaction keeps, an order to the engine or a payment to a node, and the freezes that forbid it.

It holds its scopes by its connection, beside others, from its last look until it is known what came of it.
So a freeze that is pulled meanwhile is in force at once, and is answered when nothing that was let through
before can happen any more. It never waits for a freeze that is being pulled: that one is in force already.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from itertools import compress
from typing import Any, Final

import psycopg
from django.db import DatabaseError, InterfaceError, connection

from core.freezes import holding, looking
from core.freezes.models import Freeze

LEFT_MAX: Final = 8
_places: Final = threading.BoundedSemaphore(LEFT_MAX)
"""For connections of this process that stay behind for deeds of which nobody knows what comes of them."""


class Deed:
    """Something under way, known to be over when its block ends unless it says otherwise.

    Not `is_held` where a freeze is being pulled; `freeze` is the oldest in force, as of after it was held.
    """

    def __init__(self, *, is_held: bool, freeze: Freeze | None) -> None:
        self.is_held, self.freeze = is_held, freeze
        self._until_s = -float("inf")

    def outlasts(self, seconds: float) -> None:
        """Nobody knows what comes of it, and for so long it may still happen."""
        self._until_s = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        return max(0.0, self._until_s - time.monotonic())


@contextmanager
def held(scopes: Set[str]) -> Iterator[Deed | None]:
    """While the block runs, and as long as its deed may happen, no freeze of these is answered.

    None where one is being pulled: then nothing may be done.
    """
    with begun(scopes) as deed:
        yield deed if deed.is_held else None


@contextmanager
def begun(scopes: Set[str]) -> Iterator[Deed]:
    """The same, with what came of holding them, and what is frozen of them then.

    One message to the database, and two statements: what looks must begin when the scopes are held, or it
    could miss a freeze that was answered in between.
    """
    numbers = holding.numbers(scopes)
    hold = ", ".join(holding.calls("pg_try_advisory_lock_shared", numbers))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {hold}; {looking.STATEMENT}", looking.parameters(scopes))
        got = cursor.fetchone()
        cursor.nextset()
        frozen = looking.rows(cursor)
    deed = Deed(is_held=all(got), freeze=frozen[0] if frozen else None)
    try:
        yield deed
    finally:
        left_s = deed.left_s
        # A connection in the middle of a transaction is whoever's began that, and cannot stay behind.
        if not left_s or connection.in_atomic_block or not _is_left_behind(left_s):
            time.sleep(left_s)
            _let_go(list(compress(numbers, got)))


def _let_go(numbers: list[int]) -> None:
    if not numbers:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(holding.calls('pg_advisory_unlock_shared', numbers))}")
    except (DatabaseError, InterfaceError):
        connection.close()  # what was done is done, and whoever did it is told so


def _is_left_behind(left_s: float) -> bool:
    """Have the connection that holds its scopes stay behind, until the deed cannot happen any more."""
    if not _places.acquire(blocking=False):
        return False
    left, connection.connection = connection.connection, None
    watch = threading.Timer(left_s, _close, [left])
    watch.daemon = True
    watch.start()
    return True


def _close(left: Any) -> None:
    with suppress(psycopg.Error):
        left.close()
    _places.release()
