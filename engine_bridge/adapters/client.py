"""This process's line to the engine: handed out by `bridge()`, made on first use, one per process.

grpc objects belong to the thread and the process that made them, so they live on one thread with its own
loop, and a process that was forked makes its own. Callers are ordinary threads; each waits for its own
answer, with a limit.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final, TypeVar

import grpc
from django.conf import settings
from grpc import aio

from engine_bridge.adapters import decoding, encoding
from engine_bridge.adapters.channel import EngineAway, EngineBusy, OutcomeUnknown, is_away, open_aio_channel
from engine_bridge.adapters.session import Entry, Session
from engine_bridge.domain.commands import Command
from engine_bridge.domain.results import AWAY, Result, ResultCode
from engine_bridge.wire import market_data_pb2, market_data_pb2_grpc, order_entry_pb2, order_entry_pb2_grpc

log = logging.getLogger(__name__)

T = TypeVar("T")

WAITING_MAX: Final = 4096
CONNECT_S: Final = 1.0
ANSWER_S: Final = 3.0
QUERY_S: Final = 1.0
SILENCES_MAX: Final = 3
"""So many commands in a row without an answer open the circuit: the engine is connected, but not alive."""


class Bridge:
    """Orders in, answers out, and looks at the book, over the orders socket."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._silences = 0
        self._channel: aio.Channel | None = None
        self._thread = threading.Thread(target=self._run, name="engine-bridge", daemon=True)
        self._thread.start()
        self._session = self._on_loop(self._begin(), CONNECT_S)

    def submit(
        self, commands: Sequence[Command], *, timeout_s: float | None = None
    ) -> list[Result | OutcomeUnknown]:
        """The durable answer to each command, in order; OutcomeUnknown in the place of one that did not come.

        EngineAway and EngineBusy are raised only while it is certain that none of the commands was taken.
        """
        self._wait_for_connection()
        if self._session.depth + len(commands) > WAITING_MAX:
            raise EngineBusy(f"{self._session.depth} commands are waiting")
        entries = [Entry(encoding.command(command), Future()) for command in commands]
        self._loop.call_soon_threadsafe(self._session.hand_over, entries)
        deadline = self._loop.time() + (ANSWER_S if timeout_s is None else timeout_s)
        answers = [self._answer(entry, deadline) for entry in entries]
        if all(isinstance(answer, EngineAway) for answer in answers):
            raise EngineAway("the engine went away before anything was sent")
        return [OutcomeUnknown() if isinstance(answer, EngineAway) else answer for answer in answers]

    def book(self, instrument_id: int, *, depth: int) -> market_data_pb2.BookFrame:
        """A snapshot of the book, as far as it is durable."""
        request = market_data_pb2.BookRequest(instrument_id=instrument_id, depth=depth)
        return self._unary(lambda channel: market_data_pb2_grpc.MarketDataStub(channel).GetBook, request)

    def connected(self) -> bool:
        """Whether orders can be sent now, waiting a moment where that is not known yet."""
        try:
            self._wait_for_connection()
        except EngineAway:
            return False
        return True

    def close(self) -> None:
        """End the stream and the thread."""
        try:
            self._on_loop(self._end(), 2.0)
        except EngineAway:
            log.warning("the engine bridge did not end in time")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2.0)

    def _answer(self, entry: Entry, deadline: float) -> Result | OutcomeUnknown | EngineAway:
        try:
            result = entry.answer.result(max(0.0, deadline - self._loop.time()))
        except FutureTimeout:
            if self._on_loop(self._withdraw(entry), CONNECT_S):
                return EngineAway("not sent")
            return self._after_silence(entry)
        self._silences = 0
        if result.code is ResultCode.FORGOTTEN:
            return OutcomeUnknown()
        return EngineAway(result.code) if result.code in AWAY else result

    def _after_silence(self, entry: Entry) -> Result | OutcomeUnknown:
        """Ask once more by the command's id: the answer may have been lost with the connection."""
        with self._lock:
            self._silences += 1
        try:
            request = order_entry_pb2.QueryCommandRequest(command_id=entry.command.command_id)
            found = self._unary(
                lambda channel: order_entry_pb2_grpc.OrderEntryStub(channel).QueryCommand, request
            )
        except EngineAway:
            return OutcomeUnknown()
        result = decoding.result(found)
        unknown = result.code in {ResultCode.UNKNOWN_COMMAND, ResultCode.FORGOTTEN}
        return OutcomeUnknown() if unknown else result

    def _wait_for_connection(self) -> None:
        """Return at once while connected; refuse at once while the circuit is open; else wait a moment."""
        if self._session.connected and self._silences < SILENCES_MAX:
            return
        if self._session.connected:
            with self._lock:
                self._silences = 0
            self._on_loop(self._restart(), CONNECT_S)
        if self._session.failures == 0:
            self._on_loop(self._settled(), CONNECT_S + 0.5)
        if not self._session.connected:
            raise EngineAway("no connection to the engine")

    def _unary(self, method: Callable[[aio.Channel], Any], request: Any) -> Any:
        async def call() -> Any:
            if self._channel is None:
                self._channel = open_aio_channel(self.target)
            return await method(self._channel)(request, timeout=QUERY_S, wait_for_ready=False)

        try:
            return self._on_loop(call(), QUERY_S + 0.5)
        except grpc.RpcError as error:
            if is_away(error):
                raise EngineAway(error.code().name) from None  # type: ignore[attr-defined]
            raise

    def _on_loop(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except FutureTimeout:
            future.cancel()
            raise EngineAway("the engine did not answer in time") from None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _begin(self) -> Session:
        session = Session(self.target, self._loop)
        session.start()
        return session

    async def _restart(self) -> None:
        self._session.drop()

    async def _settled(self) -> None:
        await self._session.connection_settled.wait()

    async def _withdraw(self, entry: Entry) -> bool:
        return self._session.withdraw(entry)

    async def _end(self) -> None:
        await self._session.stop()
        if self._channel is not None:
            await self._channel.close()


_lock = threading.Lock()
_bridge: Bridge | None = None
_owner = 0


def bridge() -> Bridge:
    """This process's bridge, made on first use and again after a fork."""
    global _bridge, _owner
    with _lock:
        if _bridge is None or _owner != os.getpid() or _bridge.target != settings.ENGINE_TARGET:
            if _bridge is not None and _owner == os.getpid():
                _bridge.close()
            _bridge, _owner = Bridge(settings.ENGINE_TARGET), os.getpid()
        return _bridge


def close_bridge() -> None:
    """End this process's bridge, where it has one."""
    global _bridge
    with _lock:
        if _bridge is not None and _owner == os.getpid():
            _bridge.close()
        _bridge = None


atexit.register(close_bridge)
