"""One long stream of orders to the engine: numbered, batched by the pace of the answers, resumed after a
break.

A command stays here from the moment it is handed over until its answer comes, its time runs out, or the
process ends. After a reconnection everything unanswered is sent again under new numbers, otherwise byte for
byte; the engine answers a command that it has taken before with its first outcome.

Nothing waits for a timer: a frame leaves at once while fewer than eight are unanswered, and takes along all
that has gathered. Under load the answers' own pace makes the batches.

Whoever hands a command over sends the frame itself, and whoever reads an answer sends what has gathered: no
other thread has to wake up on the way out, and on the way back only the caller. One of them sends at a time,
and meanwhile the others' commands gather instead of their threads: to write to a socket is to give the
interpreter away and to wait for it again, and nobody shall wait for whoever waits.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from engine_bridge.adapters import decoding
from engine_bridge.adapters.channel import EngineAway, EngineBusy, EngineRefused
from engine_bridge.adapters.stream import Stream
from engine_bridge.adapters.ticket import Frame, Run, Ticket
from engine_bridge.wire import order_entry_pb2, types_pb2

log = logging.getLogger(__name__)

METHOD: Final = "/exchange.engine.v1.OrderEntry/Session"
PROTOCOL: Final = 1
FRAME_BYTES_MAX: Final = 64 * 1024
COMMAND_BYTES_MAX: Final = 128
"""No command that this bridge can make is longer."""
BATCH_MAX: Final = FRAME_BYTES_MAX // COMMAND_BYTES_MAX
FRAMES_IN_FLIGHT_MAX: Final = 8
WAITING_MAX: Final = 2 * FRAMES_IN_FLIGHT_MAX * BATCH_MAX
"""More commands than this are not taken: whoever comes then is told at once that we are busy."""
HELLO_TIMEOUT_S: Final = 1.0
BACKOFF_FIRST_S: Final = 0.02
BACKOFF_MAX_S: Final = 0.1
"""Clients wait for this once the next process is ready, and to find nobody on a socket costs nothing."""
REFUSED_S: Final = 1.0
"""Whom the engine does not want asks again more slowly: that costs it a handshake."""


class Session:
    """Has one thread, which connects and reads. Everything public may be used from any thread."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._lock = threading.Lock()
        """Held for moments: nobody writes, reads or waits with it."""
        self._sender = threading.Lock()
        """Whose turn it is to send; taken before `_lock` where both are."""
        self._waiting: deque[Run] = deque()
        self._frames: deque[Frame] = deque()
        """Those that are not answered yet, oldest first."""
        self._stream: Stream | None = None
        self._pause_s = BACKOFF_FIRST_S
        self._session_id = secrets.token_bytes(16)
        self._next_seq = 1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_connected, name="engine-bridge", daemon=True)
        self.depth = 0
        """How many commands are here, waiting or unanswered."""
        self.connected = False
        self.failures = 0
        self.ended = ""
        """Why the last connection ended, in the words of whoever ended it."""
        self.epoch = 0
        self.connection_settled = threading.Event()

    def start(self) -> None:
        """Begin to connect, and to reconnect until `stop`."""
        self._thread.start()

    def hand_over(self, ticket: Ticket, runs: Sequence[Run]) -> None:
        """Send the ticket's commands in their order, or queue them. EngineBusy, none taken, at the limit."""
        with self._lock:
            if self._stopping.is_set():
                raise EngineAway("this process has closed its line to the engine")
            if self.depth + ticket.left > WAITING_MAX:
                raise EngineBusy(f"{self.depth} commands are waiting")
            self.depth += ticket.left
            self._waiting.extend(runs)
        self._send()

    def withdraw(self, ticket: Ticket) -> set[int]:
        """Take back what has not left this process: the places of those commands. They will never be sent."""
        with self._lock:
            taken = [run for run in self._waiting if run.ticket is ticket and not run.first]
            if taken:
                self._waiting = deque(run for run in self._waiting if run.ticket is not ticket or run.first)
                self.depth -= sum(run.count for run in taken)
        return {place for run in taken for place in range(run.begin, run.begin + run.count)}

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
                if isinstance(error, EngineRefused):
                    self._pause_s = REFUSED_S
                if self.failures == 0 and not self._stopping.is_set():
                    log.warning("the engine's order stream ended: %s", error or type(error).__name__)
            except Exception:
                # A fault in one connection must not end the line: the next one is greeted and resumed anew.
                log.exception("the engine's order stream broke")
            self.connected = False
            self.failures += 1
            self.connection_settled.set()
            self._stopping.wait(self._pause_s)
            self._pause_s = min(self._pause_s * 2, BACKOFF_MAX_S)

    def _one_connection(self) -> None:
        """Greet, then receive until something breaks."""
        stream = Stream(self._target, METHOD, timeout_s=HELLO_TIMEOUT_S)
        try:
            self._greet(stream)
            while not self._stopping.is_set():
                for message in stream.receive():
                    self._take(stream, order_entry_pb2.ServerFrame.FromString(message))
        finally:
            with self._sender, self._lock:
                self._stream = None
            stream.close()

    def _greet(self, stream: Stream) -> None:
        hello = order_entry_pb2.Hello(
            protocol_version=PROTOCOL, session_id=self._session_id, next_session_seq=self._next_seq
        )
        stream.send(order_entry_pb2.ClientFrame(hello=hello).SerializeToString())
        deadline = time.monotonic() + HELLO_TIMEOUT_S
        while not (messages := stream.receive()):
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
            again = [rest for frame in self._frames for run in frame.runs for rest in run.unanswered()]
            self._waiting.extendleft(reversed(again))
            self._frames.clear()
            self._next_seq = max(self._next_seq, last_applied + 1)
            self._stream, self._pause_s = stream, BACKOFF_FIRST_S
            self.connected, self.failures = True, 0
        self._send()
        self.connection_settled.set()

    def _send(self) -> None:
        """While few enough frames are unanswered, send what has gathered; or leave it to whoever is sending,
        who looks again afterwards.
        """
        while self._may_send() and self._sender.acquire(blocking=False):
            try:
                while (following := self._following()) is not None:
                    stream, frame = following
                    try:
                        stream.send(frame.written())
                    except OSError:
                        # Its reader is about to be told, and what was meant for it is sent again.
                        self._stream = None
            finally:
                self._sender.release()

    def _may_send(self) -> bool:
        return bool(self._waiting) and self._stream is not None and len(self._frames) < FRAMES_IN_FLIGHT_MAX

    def _following(self) -> tuple[Stream, Frame] | None:
        """The next frame and where it goes, if it may go now. Whose turn it is to send asks."""
        with self._lock:
            stream = self._stream
            if stream is None or not self._may_send():
                return None
            runs, room = [], BATCH_MAX
            while self._waiting and self._waiting[0].count <= room:
                room -= self._waiting[0].count
                runs.append(self._waiting.popleft())
            frame = Frame(runs, first=self._next_seq)
            self._frames.append(frame)
            self._next_seq = frame.end
            return stream, frame

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
        """Give the answers to whom they belong, send what has gathered, and wake whose call is answered."""
        if answers.epoch < self.epoch:
            raise EngineAway(f"answers of epoch {answers.epoch} after {self.epoch}")
        self.epoch = answers.epoch
        wires = list(answers.results)
        numbers = [wire.session_seq for wire in wires]
        answered: list[Ticket] = []
        at, end = 0, len(wires)
        with self._lock:
            while at < end:
                number, begin = numbers[at], at
                at += 1
                for frame in self._frames:
                    if frame.first <= number < frame.end:
                        break
                else:
                    continue
                run = frame.run_of(number)
                following = min(end, begin + run.first + run.count - number)
                if numbers[begin:following] == list(range(number, number + following - begin)):
                    at = following  # else they are out of their order, and go one by one
                new = run.answered(number, wires[begin:at])
                frame.left -= new
                self.depth -= new
                if not frame.left:
                    self._frames.remove(frame)
                if new and not run.ticket.left:
                    answered.append(run.ticket)
        self._send()
        for ticket in answered:
            ticket.wake()
