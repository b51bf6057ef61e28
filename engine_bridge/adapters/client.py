"""This process's line to the engine: handed out by `bridge()`, made on first use, one per process.

A process that was forked makes its own. Callers are ordinary threads, which wait for their own answers with a
limit (`submit`), or coroutines of any loop (`submit_async`). `submit_batch` is for hundreds of commands at
once: one call, without the stream.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Final, TypeAlias

import grpc
from django.conf import settings

from engine_bridge.adapters import decoding, encoding, papers
from engine_bridge.adapters.channel import EngineAway, OutcomeUnknown, is_away, open_channel
from engine_bridge.adapters.session import BATCH_MAX, Session
from engine_bridge.adapters.ticket import Entry, LoopTicket, Ticket
from engine_bridge.domain.commands import Command
from engine_bridge.domain.results import AWAY, Result, ResultCode
from engine_bridge.wire import market_data_pb2, market_data_pb2_grpc, order_entry_pb2, order_entry_pb2_grpc

log = logging.getLogger(__name__)

Answer: TypeAlias = Result | OutcomeUnknown

CONNECT_S: Final = 1.0
ANSWER_S: Final = 3.0
QUERY_S: Final = 1.0
RETRY_S: Final = 0.05
SILENCES_MAX: Final = 3
"""So many calls in a row without an answer open the circuit: the engine is connected, but not alive."""

_UNTOLD: Final = AWAY | {ResultCode.FORGOTTEN}
"""Codes that tell nothing of the outcome of one command among others."""
_UNKNOWN: Final = frozenset({ResultCode.UNKNOWN_COMMAND, ResultCode.FORGOTTEN})


class Bridge:
    """Orders in, answers out, and looks at the book, over the orders socket."""

    def __init__(self, target: str, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """`loop` is given by a process that lives on it: answers are read there. Threads may call all the
        same, but are answered only while the loop runs. papers.BadTarget.
        """
        papers.door(target)
        self.target = target
        self._lock = threading.Lock()
        self._silences = 0
        self._channel: grpc.Channel | None = None
        self._session = Session(target, loop=loop)
        self._session.start()

    def submit(self, commands: Sequence[Command], *, timeout_s: float | None = None) -> list[Answer]:
        """The durable answer to each command, in order; OutcomeUnknown in the place of one that did not come.

        EngineAway and EngineBusy are raised only while it is certain that none of the commands was taken.
        """
        self._wait_for_connection()
        ticket = Ticket([encoding.command(command) for command in commands])
        self._session.hand_over(ticket)
        if ticket.wait(ANSWER_S if timeout_s is None else timeout_s):
            self._silences = 0
            return _told(decoding.results(ticket.answers()))
        unsent, unanswered = self._give_up(ticket)
        self._look_up(unanswered)
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
            return _told(decoding.results(ticket.answers()))
        unsent, unanswered = self._give_up(ticket)
        if unanswered:
            await asyncio.to_thread(self._look_up, unanswered)
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
        return _told(decoding.results(found.results))

    def book(self, instrument_id: int, *, depth: int) -> market_data_pb2.BookFrame:
        """A snapshot of the book, as far as it is durable. EngineAway."""
        request = market_data_pb2.BookRequest(instrument_id=instrument_id, depth=depth)
        try:
            return market_data_pb2_grpc.MarketDataStub(self._calls()).GetBook(request, timeout=QUERY_S)
        except grpc.RpcError as error:
            if is_away(error):
                raise EngineAway(error.code().name) from None  # type: ignore[attr-defined]
            raise

    def connected(self) -> bool:
        """Whether orders can be sent now, waiting a moment where that is not known yet."""
        try:
            self._wait_for_connection()
        except EngineAway:
            return False
        return True

    def close(self) -> None:
        """End the stream and its thread."""
        self._session.stop()
        with self._lock:
            if self._channel is not None:
                self._channel.close()
                self._channel = None

    def abandon(self) -> None:
        """In a forked child: leave the parent's stream to the parent."""
        self._session.abandon()

    def _calls(self) -> grpc.Channel:
        """The channel of single calls, opened when first needed."""
        with self._lock:
            if self._channel is None:
                self._channel = open_channel(self.target)
            return self._channel

    def _until_answered(
        self, batch: order_entry_pb2.CommandBatch, timeout_s: float
    ) -> order_entry_pb2.ResultBatch | None:
        deadline = time.monotonic() + timeout_s
        submit = order_entry_pb2_grpc.OrderEntryStub(self._calls()).SubmitBatch
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
        return unsent, [entry for entry in ticket.entries if entry.frame is not None and entry.answer is None]

    def _look_up(self, entries: Sequence[Entry]) -> None:
        """Ask by the commands' ids, all at once: the answers may have been lost with the connection."""
        if not entries:
            return
        query = order_entry_pb2_grpc.OrderEntryStub(self._calls()).QueryCommand
        asked = []
        for entry in entries:
            command = order_entry_pb2.Command.FromString(entry.command)
            request = order_entry_pb2.QueryCommandRequest(command_id=command.command_id)
            asked.append((entry, query.future(request, timeout=QUERY_S, wait_for_ready=False)))
        for entry, call in asked:
            try:
                found = call.result()
            except grpc.RpcError as error:
                if not is_away(error):
                    raise
                continue
            if decoding.code(found.code) not in _UNKNOWN and entry.answer is None:
                entry.answer = found

    def _wait_for_connection(self) -> None:
        """Return at once while connected; refuse at once while the circuit is open; else wait a moment."""
        session = self._session
        if session.connected and self._silences < SILENCES_MAX:
            return
        if session.connected:
            with self._lock:
                self._silences = 0
            session.drop()
        if session.failures == 0:
            session.connection_settled.wait(CONNECT_S + 0.5)
        if not session.connected:
            raise EngineAway(f"no connection to the engine: {session.ended}")


def _answers(ticket: Ticket, unsent: set[Entry]) -> list[Answer]:
    """What is known of a ticket whose time is over, in order; EngineAway where nothing of it was taken."""
    found = [
        None if entry.answer is None else decoding.results([entry.answer])[0] for entry in ticket.entries
    ]
    if all(
        entry in unsent if result is None else result.code in AWAY
        for entry, result in zip(ticket.entries, found, strict=True)
    ):
        raise EngineAway("the engine went away before anything was sent")
    return [OutcomeUnknown() if result is None or result.code in _UNTOLD else result for result in found]


def _told(results: list[Result]) -> list[Answer]:
    """Results as answers; EngineAway where every command certainly was not taken."""
    codes = {result.code for result in results}
    if _UNTOLD.isdisjoint(codes):
        return list(results)
    if codes <= AWAY:
        raise EngineAway(min(codes))
    return [OutcomeUnknown() if result.code in _UNTOLD else result for result in results]


_lock = threading.Lock()
_bridge: Bridge | None = None
_owner = 0
_parents: Bridge | None = None
"""Kept, since to let go of a channel of grpc's would wait for threads that a child does not have."""


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
    global _lock, _bridge, _parents
    if _bridge is not None:
        _bridge.abandon()
    _lock, _bridge, _parents = threading.Lock(), None, _bridge


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close_bridge)
