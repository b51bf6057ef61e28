"""Daemons of one name, several at once ..."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from core import daemon
from tests.trading import until

pytestmark = pytest.mark.slow


class Loop:
    """One of them, in a thread as it would be in a process of its own."""

    def __init__(self, name: str) -> None:
        self.steps = self.backend = 0
        self.alone = True
        self.is_in_place = False
        self._place = zlib.crc32(name.encode())
        self.thread = threading.Thread(
            target=daemon.lead,
            args=(name, self.step),
            kwargs={"interval_s": 0.01, "leading": self.in_place},
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Where only the leader may be."""
        self.is_in_place = True
        yield
        self.is_in_place = False

    def step(self) -> bool:
        """Be for a moment where there is room for one; the database says whether somebody else was."""
        with connection.cursor() as cursor:
            told = "SELECT pg_try_advisory_xact_lock(%s), pg_backend_pid(), pg_sleep(0.002)"
            cursor.execute(told, [self._place])
            is_alone, self.backend, _ = cursor.fetchone()
        self.alone &= is_alone
        self.steps += 1
        return False


@pytest.fixture
def loops(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Loop]]:
    """Three of one name, and one of another; told to stop at the end of the test."""
    stops: list[Callable[..., Any]] = []
    monkeypatch.setattr(daemon.signal, "signal", lambda number, handler: stops.append(handler))
    found = [Loop(name) for name in ("settlement", "settlement", "settlement", "another")]
    for loop in found:
        loop.thread.start()
    yield found
    for stop in stops:
        stop()
    for loop in found:
        loop.thread.join(60)
        assert not loop.thread.is_alive()


def test_lead_one_after_the_other_and_never_two(loops: list[Loop]) -> None:
    """Who loses its connection to the database leads no more, since its lock went with it."""
    *rivals, other = loops
    led: set[int] = set()
    for _ in range(3):
        until(lambda: bool({loop.backend for loop in rivals} - led - {0}))
        before = [loop.steps for loop in rivals]
        until(lambda before=before: sum(loop.steps for loop in rivals) > sum(before) + 5)  # type: ignore[misc]
        (leader,) = [loop for loop, steps in zip(rivals, before, strict=True) if loop.steps > steps]
        assert leader.backend not in led
        until(lambda leader=leader: [loop for loop in rivals if loop.is_in_place] == [leader])  # type: ignore[misc]
        led.add(leader.backend)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [leader.backend])
    assert all(loop.alone for loop in rivals)
    until(lambda: other.steps > 3)
