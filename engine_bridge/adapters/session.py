"""One long stream of orders to the engine: opened, greeted, resumed after a break, and given up where the
other side is no leader.

Numbers, frames and answers are kept by the line (`line.py`), outside the interpreter. A command stays there
from the moment it is handed over until its answer comes, its time runs out, or the process ends. After a
reconnection everything unanswered is sent again under new numbers, otherwise byte for byte; the engine
answers a command that it has taken before with its first outcome.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from engine_bridge.adapters import decoding
from engine_bridge.adapters.channel import EngineAway, EngineRefused
from engine_bridge.adapters.line import Line
from engine_bridge.wire import order_entry_pb2, types_pb2

log = logging.getLogger(__name__)

METHOD: Final = "/exchange.engine.v1.OrderEntry/Session"
PROTOCOL: Final = 1
HELLO_TIMEOUT_S: Final = 1.0
BACKOFF_FIRST_S: Final = 0.02
BACKOFF_MAX_S: Final = 0.1
"""Clients wait for this once the next process is ready, and to find nobody on a socket costs nothing."""
REFUSED_S: Final = 1.0
"""Whom the engine does not want asks again more slowly: that costs it a handshake."""


class Session:
    """Has one thread, which connects and hears. Everything public may be used from any thread."""

    def __init__(self, target: str, line: Line) -> None:
        self._target = target
        self._line = line
        self._lock = threading.Lock()
        self._pause_s = BACKOFF_FIRST_S
        self._session_id = secrets.token_bytes(16)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_connected, name="engine-bridge", daemon=True)
        self.connected = False
        self.failures = 0
        self.silences = 0
        """So many calls in a row had no answer on this connection."""
        self.ended = ""
        """Why the last connection ended, in the words of whoever ended it."""
        self.connection_settled = threading.Event()

    def start(self) -> None:
        """Begin to connect, and to reconnect until `stop`."""
        self._thread.start()

    def submit(self, commands: Sequence[bytes], *, timeout_s: float) -> tuple[bool, Any]:
        """As `Line.submit`. EngineBusy, none taken, at the limit."""
        if self._stopping.is_set():
            raise EngineAway("this process has closed its line to the engine")
        return self._line.submit(commands, timeout_s=timeout_s)

    @property
    def depth(self) -> int:
        """How many commands are here, waiting or unanswered."""
        return self._line.depth

    def note_late(self, *, is_silent: bool) -> None:
        """A call's time is over, with some answers or with none."""
        with self._lock:
            self.silences = self.silences + 1 if is_silent else 0

    def drop(self) -> None:
        """End a connection on which nothing answers; the next one must greet us first."""
        with self._lock:
            self.connected = False
            self.failures += 1
        self._line.shut()

    def stop(self) -> None:
        """End the stream and the thread; whatever is unanswered stays unknown."""
        self._stopping.set()
        self._line.shut()
        self._thread.join(HELLO_TIMEOUT_S + 1.0)

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's, and of it alone."""
        self._line.abandon()

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
        """Greet, then hear until something breaks."""
        line = self._line
        try:
            line.open(self._target, METHOD, timeout_s=HELLO_TIMEOUT_S)
            self._greet()
            while not self._stopping.is_set():
                if (message := line.hear()) is not None:
                    self._take(order_entry_pb2.ServerFrame.FromString(message))
        finally:
            line.close()

    def _greet(self) -> None:
        line = self._line
        hello = order_entry_pb2.Hello(
            protocol_version=PROTOCOL, session_id=self._session_id, next_session_seq=line.next_seq
        )
        line.say(order_entry_pb2.ClientFrame(hello=hello).SerializeToString())
        deadline = time.monotonic() + HELLO_TIMEOUT_S
        while (message := line.hear()) is None:
            if time.monotonic() > deadline or self._stopping.is_set():
                raise EngineAway("no welcome in time")
        frame = order_entry_pb2.ServerFrame.FromString(message)
        if frame.WhichOneof("frame") != "welcome":
            raise EngineAway("no welcome")
        welcome = frame.welcome
        if welcome.epoch < line.epoch:
            raise EngineAway(f"a leader of epoch {welcome.epoch} after one of {line.epoch}")
        if welcome.state != types_pb2.SHARD_STATE_RUNNING:
            raise EngineAway(f"the shard is {decoding.SHARD_STATES.get(welcome.state, 'away')}")
        line.resume(epoch=welcome.epoch, last_applied=welcome.last_session_seq_applied)
        self._pause_s = BACKOFF_FIRST_S
        with self._lock:
            self.connected, self.failures, self.silences = True, 0, 0
        self.connection_settled.set()

    def _take(self, frame: order_entry_pb2.ServerFrame) -> None:
        kind = frame.WhichOneof("frame")
        if kind == "ping":
            pong = order_entry_pb2.Pong(nonce=frame.ping.nonce)
            self._line.say(order_entry_pb2.ClientFrame(pong=pong).SerializeToString())
        elif kind == "status" and frame.status.state != types_pb2.SHARD_STATE_RUNNING:
            raise EngineAway(f"the shard is {decoding.SHARD_STATES.get(frame.status.state, 'away')}")
