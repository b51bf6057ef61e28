"""One long stream of orders to the engine: numbered, batched by the pace of the answers, resumed after a
break.

A command stays here from the moment it is handed over until its answer comes, its time runs out, or the
process ends. After a reconnection everything unanswered is sent again under new numbers, otherwise byte for
byte; the engine answers a command that it has taken before with its first outcome.

Nothing waits for a timer: a frame leaves at once while fewer than two are unanswered, and takes along all
that has gathered. Under load the answers' own pace makes the batches.

Whoever hands a command over sends the frame itself, and whoever reads an answer sends what has gathered: no
other thread has to wake up on the way out, and on the way back only the caller. In a process that lives on
one event loop that loop reads, and then nobody has to.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from typing import Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from engine_bridge.adapters import decoding, encoding
from engine_bridge.adapters.channel import EngineAway, EngineBusy, EngineRefused
from engine_bridge.adapters.reading import LoopReader
from engine_bridge.adapters.stream import Stream
from engine_bridge.adapters.ticket import Entry, Frame, LoopTicket, Ticket, wake_all
from engine_bridge.wire import order_entry_pb2, types_pb2

log = logging.getLogger(__name__)

METHOD: Final = "/exchange.engine.v1.OrderEntry/Session"
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
"""How often coroutines are looked at whose time is over: one look for all of them."""


class Session:
    """Has one thread, which connects, and reads where no `loop` is given to do so. Everything public may be
    used from any thread.
    """

    def __init__(self, target: str, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._target = target
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._unanswered: dict[int, Entry] = {}
        self._in_flight = 0
        self._reader: LoopReader | None = None
        self._stream: Stream | None = None
        self._awaited: dict[LoopTicket, None] = {}
        self._swept = 0.0
        self._pause_s = BACKOFF_FIRST_S
        self._session_id = secrets.token_bytes(16)
        self._next_seq = 1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_connected, name="engine-bridge", daemon=True)
        self.connected = False
        self.failures = 0
        self.ended = ""
        """Why the last connection ended, in the words of whoever ended it."""
        self.epoch = 0
        self.connection_settled = threading.Event()

    def start(self) -> None:
        """Begin to connect, and to reconnect until `stop`."""
        self._thread.start()

    def hand_over(self, ticket: Ticket) -> None:
        """Send the ticket's entries in their order, or queue them. EngineBusy, none taken, at the limit."""
        with self._lock:
            if self._stopping.is_set():
                raise EngineAway("this process has closed its line to the engine")
            depth = len(self._waiting) + len(self._unanswered)
            if depth + ticket.left > WAITING_MAX:
                raise EngineBusy(f"{depth} commands are waiting")
            self._waiting.extend(ticket.entries)
            if isinstance(ticket, LoopTicket):
                self._awaited[ticket] = None
            if self._in_flight < FRAMES_IN_FLIGHT_MAX:
                self._send()

    def withdraw(self, ticket: Ticket) -> set[Entry]:
        """Take back what has not left this process; which entries those were. They will never be sent."""
        with self._lock:
            taken = {entry for entry in ticket.entries if entry.frame is None}
            if taken:
                self._waiting = deque(entry for entry in self._waiting if entry not in taken)
        return taken

    @property
    def depth(self) -> int:
        """How many commands are here."""
        return len(self._waiting) + len(self._unanswered)

    def drop(self) -> None:
        """End a connection on which nothing answers; the next one must greet us first."""
        with self._lock:
            self.connected = False
            self.failures += 1
            if self._stream is not None:
                self._stream.shut()

    def stop(self) -> None:
        """End the stream and the thread; whatever is unanswered stays unknown."""
        self._stopping.set()
        with self._lock:
            if self._stream is not None:
                self._stream.shut()
        if self._reader is not None and asyncio._get_running_loop() is self._loop:
            self._reader.end()
        self._thread.join(HELLO_TIMEOUT_S + 1.0)

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's, and of it alone."""
        if self._stream is not None:
            self._stream.close()

    def _keep_connected(self) -> None:
        while not self._stopping.is_set():
            try:
                self._one_connection()
            except (EngineAway, EngineRefused, OSError, DecodeError) as error:
                self.ended = str(error)
                if self.failures == 0 and not self._stopping.is_set():
                    log.warning("the engine's order stream ended: %s", error or type(error).__name__)
            except Exception:
                # A fault in one connection must not end the line: the next one is greeted and resumed anew.
                log.exception("the engine's order stream broke")
            self.connected = False
            self.failures += 1
            self.connection_settled.set()
            again = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, BACKOFF_MAX_S)
            while (left := again - time.monotonic()) > 0 and not self._stopping.wait(min(left, SWEEP_S)):
                self._sweep()
        with self._lock:
            waiting, self._awaited = list(self._awaited), {}
        wake_all(waiting)

    def _one_connection(self) -> None:
        """Greet, then receive until something breaks."""
        stream = Stream(self._target, METHOD, timeout_s=HELLO_TIMEOUT_S)
        try:
            self._greet(stream)
            if self._loop is None:
                while not self._stopping.is_set():
                    self._read(stream)
                    self._sweep()
            else:
                self._read_on(self._loop, stream)
        finally:
            with self._lock:
                self._stream = None
            stream.close()

    def _read(self, stream: Stream) -> None:
        for message in stream.receive():
            self._take(stream, order_entry_pb2.ServerFrame.FromString(message))

    def _read_on(self, loop: asyncio.AbstractEventLoop, stream: Stream) -> None:
        """Let the loop read until something breaks, and raise what did; a closed loop ends this line."""
        self._reader = reader = LoopReader(loop, stream, lambda: self._read(stream))
        try:
            reader.begin()
            while not self._stopping.is_set():
                reader.wait()
                stream.flush()
                self._sweep()
        finally:
            reader.end()
            if loop.is_closed():
                self._stopping.set()

    def _greet(self, stream: Stream) -> None:
        hello = order_entry_pb2.Hello(
            protocol_version=PROTOCOL, session_id=self._session_id, next_session_seq=self._next_seq
        )
        stream.send(order_entry_pb2.ClientFrame(hello=hello).SerializeToString())
        deadline = time.monotonic() + HELLO_TIMEOUT_S
        while not (messages := stream.receive()):
            self._sweep()
            if time.monotonic() > deadline or self._stopping.is_set():
                raise EngineAway("no welcome in time")
        frame = order_entry_pb2.ServerFrame.FromString(messages[0])
        if frame.WhichOneof("frame") != "welcome":
            raise EngineAway("no welcome")
        welcome = frame.welcome
        if welcome.epoch < self.epoch:
            raise EngineAway(f"a leader of epoch {welcome.epoch} after one of {self.epoch}")
        if welcome.state != types_pb2.SHARD_STATE_RUNNING:
            raise EngineAway(f"the shard is {decoding.SHARD_STATES.get(welcome.state, 'away')}")
        self.epoch = welcome.epoch
        self._resume(stream, welcome.last_session_seq_applied)
        for message in messages[1:]:
            self._take(stream, order_entry_pb2.ServerFrame.FromString(message))

    def _resume(self, stream: Stream, last_applied: int) -> None:
        """Put what is unanswered back in front, to be numbered anew: a number is no part of the command, and
        only has to be above all that the engine has seen.
        """
        with self._lock:
            self._waiting.extendleft(reversed(self._unanswered.values()))
            self._unanswered.clear()
            self._in_flight = 0
            self._next_seq = max(self._next_seq, last_applied + 1)
            self._stream, self._pause_s = stream, BACKOFF_FIRST_S
            self.connected, self.failures = True, 0
            self._send()
        self.connection_settled.set()

    def _send(self) -> None:
        """While fewer than two frames are unanswered, send what has gathered. The lock is held."""
        while self._waiting and self._stream is not None and self._in_flight < FRAMES_IN_FLIGHT_MAX:
            count = min(BATCH_MAX, len(self._waiting))
            entries = [self._waiting.popleft() for _ in range(count)]
            first, frame = self._next_seq, Frame(count)
            for number, entry in enumerate(entries, first):
                entry.frame = frame
                self._unanswered[number] = entry
            self._in_flight += 1
            self._next_seq = first + count
            try:
                self._stream.send(encoding.frame([entry.command for entry in entries], first_seq=first))
            except OSError:
                self._stream = None  # its reader is about to be told, and what was meant for it is sent again

    def _sweep(self) -> None:
        """Wake the coroutines whose time is over."""
        now = time.monotonic()
        if now - self._swept < SWEEP_S:
            return
        self._swept = now
        with self._lock:
            late = [ticket for ticket in self._awaited if ticket.deadline <= now]
            for ticket in late:
                del self._awaited[ticket]
        wake_all(late)

    def _take(self, stream: Stream, frame: order_entry_pb2.ServerFrame) -> None:
        kind = frame.WhichOneof("frame")
        if kind == "results":
            self._settle(frame.results)
        elif kind == "ping":
            pong = order_entry_pb2.Pong(nonce=frame.ping.nonce)
            stream.send(order_entry_pb2.ClientFrame(pong=pong).SerializeToString())
        elif kind == "status" and frame.status.state != types_pb2.SHARD_STATE_RUNNING:
            raise EngineAway(f"the shard is {decoding.SHARD_STATES.get(frame.status.state, 'away')}")

    def _settle(self, answers: order_entry_pb2.ResultBatch) -> None:
        """Give each answer to its entry, send what has gathered, and wake whose ticket is answered."""
        if answers.epoch < self.epoch:
            raise EngineAway(f"answers of epoch {answers.epoch} after {self.epoch}")
        self.epoch = answers.epoch
        answered: list[Ticket] = []
        with self._lock:
            for wire in answers.results:
                entry = self._unanswered.pop(wire.session_seq, None)
                if entry is None:
                    continue
                entry.answer = wire
                if (frame := entry.frame) is not None:
                    frame.left -= 1
                    self._in_flight -= not frame.left
                ticket = entry.ticket
                ticket.left -= 1
                if not ticket.left:
                    answered.append(ticket)
                    self._awaited.pop(ticket, None)  # type: ignore[call-overload]
            self._send()
        wake_all(answered, here=self._loop)
