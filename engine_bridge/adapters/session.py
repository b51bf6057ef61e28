"""One long stream of orders to the engine: numbered, batched by the pace of the answers, resumed after a
break.

A command stays here from the moment it is handed over until its answer comes, its time runs out, or the
process ends. After a reconnection everything unanswered is sent again under new numbers, otherwise byte for
byte; the engine answers a command that it has taken before with its first outcome.

Nothing waits for a timer: a frame leaves at once while fewer than two are unanswered, and takes along all
that has gathered. Under load the answers' own pace makes the batches.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from typing import Any, Final

from grpc import aio

from engine_bridge.adapters import decoding
from engine_bridge.adapters.channel import EngineAway, EngineBusy, open_aio_channel
from engine_bridge.adapters.ticket import Entry, LoopTicket, Ticket, wake_all
from engine_bridge.wire import order_entry_pb2, order_entry_pb2_grpc, types_pb2

log = logging.getLogger(__name__)

PROTOCOL: Final = 1
FRAME_BYTES_MAX: Final = 64 * 1024
COMMAND_BYTES_MAX: Final = 128
"""No command that this bridge can make is longer."""
BATCH_MAX: Final = FRAME_BYTES_MAX // COMMAND_BYTES_MAX
FRAMES_IN_FLIGHT_MAX: Final = 2
WAITING_MAX: Final = 8 * BATCH_MAX
"""More commands than this are not taken: whoever comes then is told at once that we are busy."""
HELLO_TIMEOUT_S: Final = 1.0
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 1.0
SWEEP_S: Final = 0.05
"""How often coroutines are looked at whose time is over: one timer for all of them."""


class Session:
    """Runs on one event loop; `hand_over`, `withdraw` and the flags may be used from any thread."""

    def __init__(self, target: str, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._unanswered: dict[int, Entry] = {}
        self._frames: dict[int, int] = {}
        self._frame_number = 0
        self._pongs: deque[int] = deque()
        self._wake = asyncio.Event()
        self._is_idle = False
        self._awaited: dict[LoopTicket, None] = {}
        self._session_id = secrets.token_bytes(16)
        self._next_seq = 1
        self._task: asyncio.Task[None] | None = None
        self._dropped = asyncio.Event()
        self.connected = False
        self.failures = 0
        self.epoch = 0
        self.connection_settled = asyncio.Event()

    def start(self) -> None:
        """Begin to connect, and to reconnect for as long as the loop runs. Call on the loop."""
        self._task = self._loop.create_task(self._keep_connected())
        self._loop.call_later(SWEEP_S, self._sweep)

    def hand_over(self, ticket: Ticket) -> None:
        """Queue the ticket's entries in their order; EngineBusy, and none taken, where too many wait."""
        with self._lock:
            if self.depth + len(ticket.entries) > WAITING_MAX:
                raise EngineBusy(f"{self.depth} commands are waiting")
            self._waiting.extend(ticket.entries)
            if isinstance(ticket, LoopTicket):
                self._awaited[ticket] = None
            # Only an idle writer needs to be woken; a busy one looks again when its next answers come.
            wakes, self._is_idle = self._is_idle, False
        if wakes:
            self._loop.call_soon_threadsafe(self._wake.set)

    def withdraw(self, ticket: Ticket) -> set[Entry]:
        """Take back what has not left this process; which entries those were. They will never be sent."""
        with self._lock:
            taken = {entry for entry in ticket.entries if not entry.sent}
            if taken:
                self._waiting = deque(entry for entry in self._waiting if entry not in taken)
        return taken

    @property
    def depth(self) -> int:
        """How many commands are here."""
        return len(self._waiting) + len(self._unanswered)

    def drop(self) -> None:
        """End a connection on which nothing answers; the next one must greet us first. Call on the loop."""
        self.connected = False
        self.failures += 1
        self._dropped.set()

    async def stop(self) -> None:
        """End the stream; whatever is unanswered stays unknown."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_connected(self) -> None:
        pause = BACKOFF_FIRST_S
        while True:
            welcomed = False
            try:
                async with open_aio_channel(self._target) as channel:
                    welcomed = await self._one_connection(channel)
            except (aio.AioRpcError, aio.UsageError, TimeoutError, EngineAway, OSError) as error:
                welcomed = welcomed or self.connected
                reason = error.code().name if isinstance(error, aio.AioRpcError) else type(error).__name__
                if self.failures == 0:
                    log.warning("the engine's order stream ended: %s", reason)
            self.connected = False
            self.failures += 1
            self.connection_settled.set()
            pause = BACKOFF_FIRST_S if welcomed else min(pause * 2, BACKOFF_MAX_S)
            await asyncio.sleep(pause)

    async def _one_connection(self, channel: aio.Channel) -> bool:
        """Greet, then send and receive until something breaks."""
        call = order_entry_pb2_grpc.OrderEntryStub(channel).Session()
        try:
            await asyncio.wait_for(self._greet(call), HELLO_TIMEOUT_S)
            self.connected, self.failures = True, 0
            self.connection_settled.set()
            self._dropped.clear()
            ends = (self._send(call), self._receive(call), self._dropped.wait())
            tasks = [asyncio.create_task(end) for end in ends]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()
            return True
        finally:
            call.cancel()

    async def _greet(self, call: Any) -> None:
        hello = order_entry_pb2.Hello(
            protocol_version=PROTOCOL, session_id=self._session_id, next_session_seq=self._next_seq
        )
        await call.write(order_entry_pb2.ClientFrame(hello=hello))
        frame = await call.read()
        if frame is aio.EOF or frame.WhichOneof("frame") != "welcome":
            raise EngineAway("no welcome")
        welcome = frame.welcome
        if welcome.epoch < self.epoch:
            raise EngineAway(f"a leader of epoch {welcome.epoch} after one of {self.epoch}")
        if welcome.state != types_pb2.SHARD_STATE_RUNNING:
            raise EngineAway(f"the shard is {decoding.SHARD_STATES.get(welcome.state, 'away')}")
        self.epoch = welcome.epoch
        self._resume(welcome.last_session_seq_applied)

    def _resume(self, last_applied: int) -> None:
        """Put what is unanswered back in front, to be numbered anew: a number is no part of the command, and
        only has to be above all that the engine has seen.
        """
        with self._lock:
            self._waiting.extendleft(reversed(self._unanswered.values()))
            self._unanswered.clear()
            self._frames.clear()
            self._is_idle = False
            self._next_seq = max(self._next_seq, last_applied + 1)

    async def _send(self, call: Any) -> None:
        """The stream's only writer: pongs first, then a frame of commands while fewer than two are
        unanswered.
        """
        while True:
            self._wake.clear()
            while self._pongs:
                pong = order_entry_pb2.Pong(nonce=self._pongs.popleft())
                await call.write(order_entry_pb2.ClientFrame(pong=pong))
            batch = self._next_batch()
            if batch is not None:
                await call.write(order_entry_pb2.ClientFrame(batch=batch))
            else:
                await self._wake.wait()

    def _next_batch(self) -> order_entry_pb2.CommandBatch | None:
        """What has gathered, up to a frame of it; None while two are unanswered or nothing has."""
        with self._lock:
            if len(self._frames) >= FRAMES_IN_FLIGHT_MAX:
                return None
            if not self._waiting:
                self._is_idle = True
                return None
            entries = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            self._frame_number += 1
            self._frames[self._frame_number] = len(entries)
            for entry in entries:
                entry.sent, entry.frame = True, self._frame_number
                entry.command.session_seq = self._next_seq
                self._unanswered[self._next_seq] = entry
                self._next_seq += 1
        return order_entry_pb2.CommandBatch(commands=[entry.command for entry in entries])

    def _sweep(self) -> None:
        """Wake the coroutines whose time is over."""
        now = time.monotonic()
        with self._lock:
            late = [ticket for ticket in self._awaited if ticket.deadline <= now]
            for ticket in late:
                del self._awaited[ticket]
        wake_all(late)
        self._loop.call_later(SWEEP_S, self._sweep)

    async def _receive(self, call: Any) -> None:
        while True:
            frame = await call.read()
            if frame is aio.EOF:
                raise EngineAway("the stream ended")
            kind = frame.WhichOneof("frame")
            if kind == "results":
                self._settle(frame.results)
            elif kind == "ping":
                self._pongs.append(frame.ping.nonce)
                self._wake.set()
            elif kind == "status" and frame.status.state != types_pb2.SHARD_STATE_RUNNING:
                raise EngineAway(f"the shard is {decoding.SHARD_STATES.get(frame.status.state, 'away')}")

    def _settle(self, answers: order_entry_pb2.ResultBatch) -> None:
        """Give each answer to its entry, and wake who waited for the last one of a ticket."""
        if answers.epoch < self.epoch:
            raise EngineAway(f"answers of epoch {answers.epoch} after {self.epoch}")
        self.epoch = answers.epoch
        answered: list[Ticket] = []
        for wire in answers.results:
            entry = self._unanswered.pop(wire.session_seq, None)
            if entry is None:
                continue
            left = self._frames.get(entry.frame, 0) - 1
            if left > 0:
                self._frames[entry.frame] = left
            else:
                self._frames.pop(entry.frame, None)
            entry.answer = wire
            entry.ticket.left -= 1
            if entry.ticket.left == 0:
                answered.append(entry.ticket)
                self._awaited.pop(entry.ticket, None)  # type: ignore[call-overload]
        self._wake.set()
        wake_all(answered)
