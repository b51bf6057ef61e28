"""A gathering of those who wait for others' work …"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from kernel import gathering
from kernel.gathering import Gathering


class Room(threading.Condition):
    """It tells how often somebody has come to wait."""

    came = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.came += 1
        return super().wait(timeout)


class Gathered:
    """A gathering with some at work, and one who waits."""

    def __init__(self, pool: ThreadPoolExecutor, places: int) -> None:
        self.room, self._pool = Room(), pool
        self.found = Gathering(self.room, places=places)
        self.at_work = contextlib.ExitStack()

    def work(self) -> contextlib.ExitStack:
        mine = contextlib.ExitStack()
        mine.enter_context(self.found.working())
        self.at_work.push(mine)
        return mine

    def waits(self, done: Callable[[], bool] = lambda: False) -> Future[None]:
        came = self.room.came
        waiting = self._pool.submit(self.found.wait, done)
        while self.room.came == came:
            time.sleep(0.001)
        return waiting


@pytest.fixture(autouse=True)
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "WAIT_S", 60.0)


@contextlib.contextmanager
def gathered(places: int = 1) -> Iterator[Gathered]:
    with ThreadPoolExecutor(4) as pool:
        found = Gathered(pool, places)
        with found.at_work:
            yield found


def test_waits_for_all_who_were_at_work_and_for_nobody_who_began_since() -> None:
    with gathered() as there:
        first, second = there.work(), there.work()
        waiting = there.waits()
        there.work()
        first.close()
        with pytest.raises(TimeoutError):
            waiting.result(0.1)
        second.close()
        waiting.result(30)


def test_waits_for_nobody_where_nobody_is_at_work() -> None:
    with gathered() as there:
        there.found.wait(lambda: False)
        assert there.room.came == 0


def test_waits_only_until_a_place_is_free_where_there_are_several() -> None:
    with gathered(places=3) as there:
        first = there.work()
        there.work()
        there.found.wait(lambda: False)
        assert there.room.came == 0
        there.work()
        waiting = there.waits()
        first.close()
        waiting.result(30)


def test_ends_once_another_has_done_it() -> None:
    with gathered() as there:
        done = threading.Event()
        there.work()
        waiting = there.waits(done.is_set)
        done.set()
        there.work()  # who has done it goes to work
        waiting.result(30)


def test_waits_no_longer_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "WAIT_S", 0.01)
    with gathered() as there:
        there.work()
        there.waits().result(30)
