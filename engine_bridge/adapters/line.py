"""The part of the order stream that runs outside the interpreter: `engine/bridge`, called through its C
interface. ADR 0046 says why.

A call into it lets the interpreter go, so whoever waits here for an answer, or reads one, keeps no other
thread from computing. Connecting, greeting, and what to make of an end are `session.py`'s.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import socket
import struct
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from engine_bridge.adapters import decoding, papers, trailers
from engine_bridge.adapters.channel import EngineAway, EngineBusy
from engine_bridge.adapters.papers import Door

log = logging.getLogger(__name__)

WAIT_S: Final = 0.05
"""`hear` comes back after this long also where nothing came."""

_NOTHING, _MESSAGE, _AWAY, _TRAILERS = range(4)
_ANSWERED, _LATE, _BUSY, _MALFORMED, _BROKEN = range(5)
"""What `line_hear` and `line_submit` say, as in engine/bridge/src/lib.rs."""


class _Span(ctypes.Structure):
    """Bytes of one side, which the other reads during the call."""

    _fields_ = (("begin", ctypes.c_char_p), ("size", ctypes.c_size_t))


class _Told(ctypes.Structure):
    """Bytes of the other side. As a `c_char_p` they would end at the first zero."""

    _fields_ = (("begin", ctypes.c_void_p), ("size", ctypes.c_size_t))

    def read(self) -> bytes:
        return ctypes.string_at(self.begin, self.size) if self.size else b""


class Line:
    """`submit` may be called by any thread; `open`, `say`, `hear`, `resume` and `close` by one."""

    def __init__(self, library: Path) -> None:
        """EngineAway where the library is not there."""
        self._calls = _loaded(library)
        self._handle = self._calls.line_new()
        if self._handle is None:
            raise EngineAway("no line to the engine: its part outside the interpreter cannot begin")
        # Whoever is still in a call when the process ends would find it gone.
        weakref.finalize(self, self._calls.line_free, self._handle).atexit = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def open(self, target: str, method: str, *, timeout_s: float) -> None:
        """Connect and ask for the method, such as "/package.Service/Method". EngineAway, OSError."""
        door = papers.door(target)
        connected = _connected(target, door, timeout_s)
        with self._lock:
            self._socket = connected
        authority, host, shown = "localhost", "", [b"", b"", b""]
        if door is not None:
            authority, host = door.address, door.host
            shown = [door.read(name) for name in (papers.AUTHORITY, papers.CERTIFICATE, papers.KEY)]
        told = self._calls.line_open(
            self._handle, connected.fileno(), _span(method.encode()), _span(authority.encode()),
            _span(host.encode()), (_Span * 3)(*map(_span, shown)),
        )  # fmt: skip
        if wrong := told.read():
            raise EngineAway(wrong.decode())

    def say(self, message: bytes) -> None:
        """Send a message that is no command, as far as there is room for it now; the rest follows."""
        self._calls.line_say(self._handle, _span(message))

    def hear(self) -> bytes | None:
        """The next message that answers no command; None after a moment without any. Answers go to those who
        wait for them. At the end EngineAway or, where the engine did not want the call, EngineRefused.
        """
        told = _Told()
        kind = self._calls.line_hear(self._handle, ctypes.byref(told))
        if kind == _NOTHING:
            return None
        if kind == _TRAILERS:
            raise trailers.ended(told.read())
        if kind == _AWAY:
            raise EngineAway(told.read().decode())
        return told.read()

    def resume(self, *, epoch: int, last_applied: int) -> None:
        """A leader has greeted us: go on with what is unanswered, numbered above all that it has seen."""
        self._calls.line_resume(self._handle, epoch, last_applied)

    def submit(self, commands: Sequence[bytes], *, timeout_s: float) -> tuple[bool, Any]:
        """Send commands in their order and wait: whether all were answered in time, and what is known of
        each, for `decoding.answers`. What had not left by then never will. EngineBusy, none taken.

        A fault on the other side ends the wait early; of what it tells nothing, nothing is known.
        """
        known = (ctypes.c_char * (len(commands) * decoding.ANSWER.size))()
        sent, sizes = b"".join(commands), bytes(map(len, commands))
        limit_us = max(0, int(timeout_s * 1_000_000))
        said = self._calls.line_submit(self._handle, sent, len(sent), sizes, len(sizes), limit_us, known)
        if said == _BUSY:
            raise EngineBusy(f"{self.depth} commands are waiting")
        if said == _BROKEN:
            log.error("a fault in the order stream: whether %d commands left is not known", len(sizes))
        return said == _ANSWERED, known

    def shut(self) -> None:
        """End the connection; whoever hears is told so. From any thread."""
        with self._lock, suppress(OSError):  # it may have ended already
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the connection go. What is unanswered waits for the next."""
        self._calls.line_close(self._handle)
        with self._lock:
            opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()

    def abandon(self) -> None:
        """In a forked child: leave the connection to the parent, whose locks somebody may hold."""
        if self._socket is not None:
            self._socket.close()

    @property
    def next_seq(self) -> int:
        """The number under which the next command leaves."""
        return int(self._calls.line_next_seq(self._handle))

    @property
    def epoch(self) -> int:
        """The newest leader's."""
        return int(self._calls.line_epoch(self._handle))

    @property
    def depth(self) -> int:
        """How many commands are here, waiting or unanswered."""
        return int(self._calls.line_depth(self._handle))


def is_release(library: Path) -> bool:
    """Whether it was built for production: without assertions, and without the tests' faults. EngineAway."""
    return bool(_loaded(library).line_is_release())


@functools.cache
def _loaded(library: Path) -> ctypes.CDLL:
    try:
        calls = ctypes.CDLL(str(library))
    except OSError as error:
        raise EngineAway(f"no line to the engine: bin/setup builds what is missing ({error})") from None
    handle, number, text, size = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_char_p, ctypes.c_size_t
    for name, gives, takes in (
        ("is_release", ctypes.c_bool, []),
        ("new", handle, []),
        ("free", None, [handle]),
        ("open", _Told, [handle, ctypes.c_int, _Span, _Span, _Span, ctypes.POINTER(_Span * 3)]),
        ("close", None, [handle]),
        ("say", None, [handle, _Span]),
        ("hear", ctypes.c_int, [handle, ctypes.POINTER(_Told)]),
        ("resume", None, [handle, number, number]),
        ("submit", ctypes.c_int, [handle, text, size, text, size, number, ctypes.c_void_p]),
        ("next_seq", number, [handle]),
        ("epoch", number, [handle]),
        ("depth", number, [handle]),
    ):
        call = getattr(calls, f"line_{name}")
        call.restype, call.argtypes = gives, takes
    return calls


def _span(sent: bytes) -> _Span:
    return _Span(sent, len(sent))


def _connected(target: str, door: Door | None, timeout_s: float) -> socket.socket:
    """A blocking socket whose reads come back after a moment."""
    if door is None:
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(timeout_s)
        try:
            opened.connect(target.removeprefix("unix:").removeprefix("//"))
        except BaseException:
            opened.close()
            raise
    else:
        opened = socket.create_connection((door.host, door.port), timeout_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.settimeout(None)
    moment = struct.pack("@ll", 0, round(WAIT_S * 1_000_000))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, moment)
    return opened
