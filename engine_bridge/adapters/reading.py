"""A stream that is read by an event loop, on behalf of the thread that keeps its connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Final

from engine_bridge.adapters.channel import EngineAway
from engine_bridge.adapters.stream import WAIT_S, Stream

LET_GO_S: Final = 1.0


class LoopReader:
    """Calls `read` on the loop whenever the stream has something, until that raises."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stream: Stream, read: Callable[[], None]) -> None:
        self._loop = loop
        self._number = stream.fileno()
        self._read_once = read
        self._broken: Future[None] = Future()
        self._let_go = threading.Event()

    def begin(self) -> None:
        """Have the loop watch the stream. EngineAway where the loop was closed."""
        try:
            self._loop.call_soon_threadsafe(self._loop.add_reader, self._number, self._read)
        except RuntimeError:
            raise EngineAway("the loop of this line was closed") from None

    def wait(self) -> None:
        """Return after a moment, or raise what reading raised. EngineAway where the loop was closed."""
        with suppress(FutureTimeout):
            self._broken.result(WAIT_S)
        if self._loop.is_closed():
            raise EngineAway("the loop of this line was closed")

    def end(self) -> None:
        """Watch the stream no more: only then may its number be given away. From any thread."""
        if asyncio._get_running_loop() is self._loop:
            self._unwatch()
            return
        with suppress(RuntimeError):  # a closed loop watches nothing
            self._loop.call_soon_threadsafe(self._unwatch)
            self._let_go.wait(LET_GO_S)

    def _read(self) -> None:
        try:
            self._read_once()
        except Exception as error:  # noqa: BLE001 - raised again by `wait`, where the connection is kept
            self._unwatch()
            self._broken.set_exception(error)

    def _unwatch(self) -> None:
        if not self._let_go.is_set():
            self._loop.remove_reader(self._number)
            self._let_go.set()
