"""One long stream of orders to the engine: numbered, batched by the pace of the answers, resumed after a
break.

A command stays here from the moment it is handed over until its answer comes, its time runs out, or the
process ends. After a reconnection everything unanswered is sent again, byte for byte; the engine answers a
command that it has taken before with its first outcome.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from grpc import aio

from engine_bridge.adapters import decoding
from engine_bridge.adapters.channel import EngineAway, open_aio_channel
from engine_bridge.domain.results import Result, ResultCode
from engine_bridge.wire import order_entry_pb2, order_entry_pb2_grpc, types_pb2

log = logging.getLogger(__name__)

PROTOCOL: Final = 1
BATCH_MAX: Final = 512
FRAMES_IN_FLIGHT_MAX: Final = 2
HELLO_TIMEOUT_S: Final = 1.0
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 1.0


@dataclass(slots=True, eq=False)
class Entry:
    """One command on its way. `sent` turns true when it first leaves this process."""

    command: order_entry_pb2.Command
    answer: Future[Result]
    sent: bool = False
    frame: int = 0


class Session:
    """Runs on one event loop; `hand_over` and the flags may be used from any thread."""

    def __init__(self, target: str, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop
        self._waiting: deque[Entry] = deque()
        self._unanswered: dict[int, Entry] = {}
        self._frames: dict[int, int] = {}
        self._frame_number = 0
        self._pongs: deque[int] = deque()
        self._wake = asyncio.Event()
        self._session_id = secrets.token_bytes(16)
        self._next_seq = 1
        self._used = self._resumed_at = 0
        self._out_of_step: list[Entry] = []
        self._is_out_of_step = False
        self._task: asyncio.Task[None] | None = None
        self._dropped = asyncio.Event()
        self.connected = False
        self.failures = 0
        self.epoch = 0
        self.connection_settled = asyncio.Event()

    def start(self) -> None:
        """Begin to connect, and to reconnect for as long as the loop runs. Call on the loop."""
        self._task = self._loop.create_task(self._keep_connected())

    def hand_over(self, entries: list[Entry]) -> None:
        """Queue the entries in their order. Call on the loop."""
        self._waiting.extend(entries)
        self._wake.set()

    def withdraw(self, entry: Entry) -> bool:
        """Take back an entry that has not left this process; False where it has. Call on the loop."""
        if entry.sent:
            return False
        try:
            self._waiting.remove(entry)
        except ValueError:
            return False
        return True

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
            protocol_version=PROTOCOL, session_id=self._session_id, next_session_seq=self._used + 1
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
        """Put what is unanswered back in front. What the engine has taken keeps its number and is answered
        again; the rest is numbered anew after the last number that the engine has used.
        """
        again = self._out_of_step + [self._unanswered[number] for number in sorted(self._unanswered)]
        self._unanswered.clear()
        self._frames.clear()
        self._out_of_step.clear()
        for entry in again:
            if entry.command.session_seq > last_applied:
                entry.command.session_seq = 0
        self._resumed_at = self._used = last_applied
        self._next_seq = last_applied + 1
        self._waiting.extendleft(reversed(again))

    async def _send(self, call: Any) -> None:
        """The stream's only writer: pongs first, then a frame of commands while fewer than two are
        unanswered.
        """
        while True:
            while self._pongs:
                pong = order_entry_pb2.Pong(nonce=self._pongs.popleft())
                await call.write(order_entry_pb2.ClientFrame(pong=pong))
            if self._is_out_of_step and not self._frames:
                self._fall_into_step()
            if self._waiting and not self._is_out_of_step and len(self._frames) < FRAMES_IN_FLIGHT_MAX:
                await call.write(order_entry_pb2.ClientFrame(batch=self._next_batch()))
                continue
            self._wake.clear()
            await self._wake.wait()

    def _next_batch(self) -> order_entry_pb2.CommandBatch:
        self._frame_number += 1
        commands: list[order_entry_pb2.Command] = []
        while self._waiting and len(commands) < BATCH_MAX:
            entry = self._waiting.popleft()
            if not entry.command.session_seq:
                entry.command.session_seq = self._next_seq
                self._next_seq += 1
            entry.sent, entry.frame = True, self._frame_number
            self._unanswered[entry.command.session_seq] = entry
            commands.append(entry.command)
        self._frames[self._frame_number] = len(commands)
        return order_entry_pb2.CommandBatch(commands=commands)

    async def _receive(self, call: Any) -> None:
        while True:
            frame = await call.read()
            if frame is aio.EOF:
                raise EngineAway("the stream ended")
            kind = frame.WhichOneof("frame")
            if kind == "results":
                for wire in frame.results.results:
                    self._settle(wire)
                self._wake.set()
            elif kind == "ping":
                self._pongs.append(frame.ping.nonce)
                self._wake.set()
            elif kind == "status" and frame.status.state != types_pb2.SHARD_STATE_RUNNING:
                raise EngineAway(f"the shard is {decoding.SHARD_STATES.get(frame.status.state, 'away')}")

    def _settle(self, wire: order_entry_pb2.CommandResult) -> None:
        entry = self._unanswered.pop(wire.session_seq, None)
        if entry is None:
            return
        left = self._frames.get(entry.frame, 0) - 1
        if left > 0:
            self._frames[entry.frame] = left
        else:
            self._frames.pop(entry.frame, None)
        result = decoding.result(wire)
        if result.engine_seq and not result.duplicate:
            self._used = wire.session_seq
        elif wire.session_seq > self._resumed_at:
            # Answered without being journaled: its number is still the next one, and what
            # followed it must wait.
            self._is_out_of_step = True
        if result.code is ResultCode.SESSION_GAP:
            self._out_of_step.append(entry)
        elif not entry.answer.done():
            entry.answer.set_result(result)

    def _fall_into_step(self) -> None:
        """Number again, after the last number that the engine used, what it refused for its number alone."""
        for entry in self._out_of_step:
            entry.command.session_seq = 0
        self._waiting.extendleft(reversed(self._out_of_step))
        self._out_of_step.clear()
        self._next_seq = self._used + 1
        self._is_out_of_step = False
