"""This process's line to the engine: handed out by `bridge()`, made on first use, one per process.

grpc objects belong to the thread and the process that made them, so they live on one thread with its own
loop, and a process that was forked makes its own. Callers are ordinary threads, which wait for their own
answers with a limit (`submit`), or coroutines of any loop (`submit_async`). `submit_batch` is for hundreds of
commands at once: one call, without the stream.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final, TypeAlias, TypeVar

import grpc
from django.conf import settings
from grpc import aio

from engine_bridge.adapters import decoding, encoding
from engine_bridge.adapters.channel import (
    EngineAway,
    OutcomeUnknown,
    is_away,
    open_aio_channel,
    open_channel,
)
from engine_bridge.adapters.session import BATCH_MAX, Session
from engine_bridge.adapters.ticket import Entry, LoopTicket, Ticket
from engine_bridge.domain.commands import Command
from engine_bridge.domain.results import AWAY, Result, ResultCode
from engine_bridge.wire import market_data_pb2, market_data_pb2_grpc, order_entry_pb2, order_entry_pb2_grpc

log = logging.getLogger(__name__)

T = TypeVar("T")
Answer: TypeAlias = Result | OutcomeUnknown

CONNECT_S: Final = 1.0
ANSWER_S: Final = 3.0
QUERY_S: Final = 1.0
RETRY_S: Final = 0.05
SILENCES_MAX: Final = 3
"""So many calls in a row without an answer open the circuit: the engine is connected, but not alive."""

_UNKNOWN: Final = frozenset({ResultCode.UNKNOWN_COMMAND, ResultCode.FORGOTTEN})


class Bridge:
    """Orders in, answers out, and looks at the book, over the orders socket."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._silences = 0
        self._channel: aio.Channel | None = None
        self._blocking: grpc.Channel | None = None
        self._thread = threading.Thread(target=self._run, name="engine-bridge", daemon=True)
        self._thread.start()
        self._session = self._on_loop(self._begin(), CONNECT_S)

    def submit(self, commands: Sequence[Command], *, timeout_s: float | None = None) -> list[Answer]:
        """The durable answer to each command, in order; OutcomeUnknown in the place of one that did not come.

        EngineAway and EngineBusy are raised only while it is certain that none of the commands was taken.
        """
        self._wait_for_connection()
        ticket = Ticket([encoding.command(command) for command in commands])
        self._session.hand_over(ticket)
        if ticket.wait(ANSWER_S if timeout_s is None else timeout_s):
            self._silences = 0
            return _answers(ticket, frozenset())
        unsent, unanswered = self._give_up(ticket)
        if unanswered:
            try:
                self._on_loop(self._look_up(unanswered), QUERY_S + 0.5)
            except EngineAway:
                log.info("%d outcomes stay unknown", len(unanswered))
        return _answers(ticket, unsent)

    async def submit_async(
        self, commands: Sequence[Command], *, timeout_s: float | None = None
    ) -> list[Answer]:
        """The same for a coroutine, on whatever loop it runs."""
        if not self._session.connected or self._silences >= SILENCES_MAX:
            await asyncio.to_thread(self._wait_for_connection)
        ticket = LoopTicket(
            [encoding.command(command) for command in commands],
            asyncio.get_running_loop(),
            deadline=time.monotonic() + (ANSWER_S if timeout_s is None else timeout_s),
        )
        self._session.hand_over(ticket)
        await ticket.future
        if ticket.left == 0:
            self._silences = 0
            return _answers(ticket, frozenset())
        unsent, unanswered = self._give_up(ticket)
        if unanswered:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._look_up(unanswered), self._loop))
        return _answers(ticket, unsent)

    def submit_batch(self, commands: Sequence[Command], *, timeout_s: float | None = None) -> list[Answer]:
        """The same in one call beside the stream, for up to a frame of commands: no thread is woken for it.

        Where the call fails it is repeated, byte for byte, until the time is over: whatever was taken is
        answered with its first outcome.
        """
        if len(commands) > BATCH_MAX:
            raise ValueError(f"a batch holds at most {BATCH_MAX} commands")
        self._wait_for_connection()
        batch = order_entry_pb2.CommandBatch()
        for command in commands:
            encoding.fill(batch.commands.add(), command)
        found = self._until_answered(batch, ANSWER_S if timeout_s is None else timeout_s)
        if found is None:
            return [OutcomeUnknown() for _ in commands]
        self._silences = 0
        results = [decoding.result(wire) for wire in found.results]
        if results and all(result.code in AWAY for result in results):
            raise EngineAway(results[0].code)
        return [_answer(result) for result in results]

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
        if self._blocking is not None:
            self._blocking.close()

    def _until_answered(
        self, batch: order_entry_pb2.CommandBatch, timeout_s: float
    ) -> order_entry_pb2.ResultBatch | None:
        deadline = time.monotonic() + timeout_s
        with self._lock:
            if self._blocking is None:
                self._blocking = open_channel(self.target)
        submit = order_entry_pb2_grpc.OrderEntryStub(self._blocking).SubmitBatch
        while (left := deadline - time.monotonic()) > 0:
            try:
                found: order_entry_pb2.ResultBatch = submit(batch, timeout=left)
                return found
            except grpc.RpcError as error:
                if not is_away(error):
                    raise
                time.sleep(RETRY_S)
        with self._lock:
            self._silences += 1
        return None

    def _give_up(self, ticket: Ticket) -> tuple[set[Entry], list[Entry]]:
        """The time is over: what never left is taken back; what left and stayed unanswered is asked about."""
        unsent = self._session.withdraw(ticket)
        with self._lock:
            self._silences += 1
        return unsent, [entry for entry in ticket.entries if entry.sent and entry.answer is None]

    async def _look_up(self, entries: Sequence[Entry]) -> None:
        """Ask by the commands' ids, all at once: the answers may have been lost with the connection."""
        query = order_entry_pb2_grpc.OrderEntryStub(self._unary_channel()).QueryCommand

        async def ask(entry: Entry) -> None:
            request = order_entry_pb2.QueryCommandRequest(command_id=entry.command.command_id)
            try:
                found = await query(request, timeout=QUERY_S, wait_for_ready=False)
            except grpc.RpcError as error:
                if not is_away(error):
                    raise
                return
            if decoding.code(found.code) not in _UNKNOWN and entry.answer is None:
                entry.answer = found

        await asyncio.gather(*(ask(entry) for entry in entries))

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
            return await method(self._unary_channel())(request, timeout=QUERY_S, wait_for_ready=False)

        try:
            return self._on_loop(call(), QUERY_S + 0.5)
        except grpc.RpcError as error:
            if is_away(error):
                raise EngineAway(error.code().name) from None  # type: ignore[attr-defined]
            raise

    def _unary_channel(self) -> aio.Channel:
        if self._channel is None:
            self._channel = open_aio_channel(self.target)
        return self._channel

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

    async def _end(self) -> None:
        await self._session.stop()
        if self._channel is not None:
            await self._channel.close()


def _answers(ticket: Ticket, unsent: set[Entry] | frozenset[Entry]) -> list[Answer]:
    """The ticket's answers in order; EngineAway where every command certainly was not taken."""
    results = [None if entry.answer is None else decoding.result(entry.answer) for entry in ticket.entries]
    untaken = [
        entry in unsent if result is None else result.code in AWAY
        for entry, result in zip(ticket.entries, results, strict=True)
    ]
    if results and all(untaken):
        raise EngineAway("the engine went away before anything was sent")
    return [OutcomeUnknown() if result is None else _answer(result) for result in results]


def _answer(result: Result) -> Answer:
    return OutcomeUnknown() if result.code is ResultCode.FORGOTTEN or result.code in AWAY else result


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


def _after_fork() -> None:
    """A child begins without a bridge, and with a lock that nobody holds: its parent's threads stayed."""
    global _lock, _bridge
    _lock, _bridge = threading.Lock(), None


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close_bridge)
