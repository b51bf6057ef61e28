"""One long gRPC call over a socket of our own: as much of HTTP/2 as a single stream needs (RFC 9113, and
gRPC's PROTOCOL-HTTP2.md). ADR 0032 says why not grpcio.

There is one request on stream 1 and nothing else on the connection, so there is nothing to schedule. Headers
are sent as literals; of those that come only the last are read, which say how the call ended. Flow control is
kept in both directions. Over TCP all of it goes through TLS.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Final

from engine_bridge.adapters import papers, trailers
from engine_bridge.adapters.channel import FRAME_MAX, EngineAway, EngineRefused
from engine_bridge.adapters.papers import Door
from engine_bridge.adapters.sealed import Seal

WAIT_S: Final = 0.05
"""`receive` comes back after this long also where nothing came."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_CONTINUATION: Final = 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 1, 2, 4, 5
_WHOLE, _CALL = 0, 1
"""The connection as a whole, and its only stream."""

_ENDS: Final = {_RST_STREAM: slice(0, 4), _GOAWAY: slice(4, 8)}
"""Where these frames carry their error. A farewell without one lets the call go on to its own end."""

_HEAD: Final = 9
_PREFIX: Final = 5
_WINDOW_FIRST: Final = 65_535
_WINDOW: Final = 4 * 1024 * 1024
_FRAME_IN_MAX: Final = 1024 * 1024
_HEADERS_MAX: Final = 64 * 1024
_PIECE: Final = 64 * 1024


class Stream:
    """`send` may be called by any thread, `receive` by one."""

    def __init__(self, target: str, method: str, *, timeout_s: float) -> None:
        """Connect and ask for the method, such as "/package.Service/Method". EngineAway, OSError."""
        self._lock = threading.Lock()
        self._out = bytearray()
        self._body = bytearray()
        self._room = {_WHOLE: _WINDOW_FIRST, _CALL: _WINDOW_FIRST}
        self._room_first = _WINDOW_FIRST
        self._frame_out_max = 16_384
        self._piece = memoryview(bytearray(_PIECE))
        self._in = bytearray()
        self._message = bytearray()
        self._taken = 0
        self._headers = bytearray()
        self._headers_end_it = False
        self._end: EngineAway | EngineRefused | None = None
        door = papers.door(target)
        self._socket, self._seal = _connected(target, door, timeout_s)
        self._sealed = bytearray()
        settings = struct.pack(
            ">HLHLHLHL",
            _HEADER_TABLE_SIZE, 0, _ENABLE_PUSH, 0,
            _INITIAL_WINDOW_SIZE, _WINDOW, _MAX_FRAME_SIZE, _FRAME_IN_MAX,
        )  # fmt: skip
        self._out += _PREFACE + _frame(_SETTINGS, 0, _WHOLE, settings)
        self._out += _frame(_WINDOW_UPDATE, 0, _WHOLE, struct.pack(">L", _WINDOW - _WINDOW_FIRST))
        self._out += _frame(_HEADERS, _END_HEADERS, _CALL, _headers(method, door))
        with self._lock:
            self._push()

    def send(self, message: bytes) -> None:
        """Send a message, as far as there is room for it now; the rest follows. Never waits. OSError."""
        with self._lock:
            self._body += b"\0" + len(message).to_bytes(4, "big") + message
            self._push()

    def receive(self) -> list[bytes]:
        """The messages that came; none after a moment without any. OSError, and at the end EngineAway or,
        where the engine did not want the call, EngineRefused.
        """
        if self._end is not None:
            raise self._end
        try:
            size = self._socket.recv_into(self._piece)
        except BlockingIOError:
            self.flush()
            return []
        if not size:
            raise EngineAway("the connection ended")
        try:
            self._in += self._opened(self._piece[:size])
            self._take_frames()
            return self._messages()
        except (EngineAway, EngineRefused) as end:
            self._end = end
        if found := self._messages():
            return found  # what came before the end counts
        raise self._end

    def _opened(self, piece: memoryview) -> memoryview | bytes:
        if self._seal is None:
            return piece
        with self._lock:
            return self._seal.open(piece)

    def flush(self) -> None:
        """Write what the socket did not take before. OSError."""
        with self._lock:
            self._push()

    def fileno(self) -> int:
        """For a loop that calls `receive` when there is something to read."""
        return self._socket.fileno()

    def shut(self) -> None:
        """End the call; whoever receives is told so. From any thread."""
        with suppress(OSError):  # it may have ended already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the socket go. In a forked child this leaves the parent's connection as it is."""
        self._socket.close()

    def _push(self) -> None:
        """Cut what waits into frames where there is room for them, and write what the socket takes."""
        while self._body and (room := min(*self._room.values(), self._frame_out_max)) > 0:
            piece = self._body[:room]
            del self._body[:room]
            self._room[_WHOLE] -= len(piece)
            self._room[_CALL] -= len(piece)
            self._out += _frame(_DATA, 0, _CALL, piece)
        waiting = self._out
        if self._seal is not None:
            self._sealed += self._seal.seal(self._out)
            self._out.clear()
            waiting = self._sealed
        if waiting:
            try:
                sent = self._socket.send(waiting, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            del waiting[:sent]

    def _answer(self, frames: bytes) -> None:
        with self._lock:
            self._out += frames
            self._push()

    def _take_frames(self) -> None:
        at, end = 0, len(self._in)
        while end - at >= _HEAD:
            size = int.from_bytes(self._in[at : at + 3], "big")
            if size > _FRAME_IN_MAX:
                raise EngineAway(f"a frame of {size} bytes")
            if end - at - _HEAD < size:
                break
            kind, flags, number = struct.unpack_from(">BBL", self._in, at + 3)
            self._take(kind, flags, number, self._in[at + _HEAD : at + _HEAD + size])
            at += _HEAD + size
        del self._in[:at]

    def _take(self, kind: int, flags: int, number: int, payload: bytearray) -> None:
        """Take in one frame. Kinds that are not known are passed over, as the protocol asks."""
        if kind == _DATA:
            self._data(flags, payload)
        elif kind == _WINDOW_UPDATE and number in self._room:
            with self._lock:
                self._room[number] += int.from_bytes(payload, "big")
                self._push()
        elif kind == _SETTINGS and not flags & _ACK:
            self._settings(payload)
        elif kind == _PING and not flags & _ACK:
            self._answer(_frame(_PING, _ACK, _WHOLE, payload))
        elif kind in (_HEADERS, _CONTINUATION):
            self._header_block(kind, flags, payload)
        elif kind in _ENDS and any(code := payload[_ENDS[kind]]):
            raise EngineAway(f"the engine broke off: HTTP/2 error {int.from_bytes(code, 'big')}")

    def _data(self, flags: int, payload: bytearray) -> None:
        self._message += payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
        self._taken += len(payload)
        if self._taken >= _WINDOW // 2:
            more, self._taken = struct.pack(">L", self._taken), 0
            self._answer(_frame(_WINDOW_UPDATE, 0, _WHOLE, more) + _frame(_WINDOW_UPDATE, 0, _CALL, more))
        if flags & _END_STREAM:
            raise EngineAway("the engine ended the stream")

    def _header_block(self, kind: int, flags: int, payload: bytearray) -> None:
        """Gather a block, and read it where it ends the call."""
        if kind == _HEADERS:
            self._headers_end_it = bool(flags & _END_STREAM)
            padding = payload[0] if flags & _PADDED and payload else 0
            begin = (1 if flags & _PADDED else 0) + (5 if flags & _PRIORITY else 0)
            payload = payload[begin : len(payload) - padding]
        self._headers += payload
        if len(self._headers) > _HEADERS_MAX:
            raise EngineAway(f"headers of more than {_HEADERS_MAX} bytes")
        if flags & _END_HEADERS:
            block = bytes(self._headers)
            self._headers.clear()
            if self._headers_end_it:
                raise trailers.ended(block)

    def _settings(self, payload: bytearray) -> None:
        with self._lock:
            for name, value in struct.iter_unpack(">HL", payload):
                if name == _INITIAL_WINDOW_SIZE:
                    self._room[_CALL] += value - self._room_first
                    self._room_first = value
                elif name == _MAX_FRAME_SIZE:
                    self._frame_out_max = value
            self._out += _frame(_SETTINGS, _ACK, _WHOLE, b"")
            self._push()

    def _messages(self) -> list[bytes]:
        found, at = [], 0
        while len(self._message) - at >= _PREFIX:
            packed, size = struct.unpack_from(">BL", self._message, at)
            if packed or size > FRAME_MAX:
                raise EngineAway(f"a message of {size} bytes, compressed: {packed}")
            if len(self._message) - at - _PREFIX < size:
                break
            at += _PREFIX
            found.append(bytes(self._message[at : at + size]))
            at += size
        del self._message[:at]
        return found


def _connected(target: str, door: Door | None, timeout_s: float) -> tuple[socket.socket, Seal | None]:
    """A blocking socket whose reads come back after a moment: one system call for a read, not two."""
    if door is None:
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(timeout_s)
    else:
        opened = socket.create_connection((door.host, door.port), timeout_s)
    seal = None
    try:
        if door is None:
            opened.connect(target.removeprefix("unix:").removeprefix("//"))
        else:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            seal = Seal(opened, door, timeout_s=timeout_s)
    except BaseException:
        opened.close()
        raise
    opened.settimeout(None)
    moment = struct.pack("@ll", 0, round(WAIT_S * 1_000_000))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, moment)
    return opened, seal


def _frame(kind: int, flags: int, number: int, payload: bytes | bytearray) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBL", kind, flags, number) + payload


def _headers(method: str, door: Door | None) -> bytes:
    """POST of the method (HPACK, RFC 7541): literals that no table keeps, common names by their number."""

    def literal(name: bytes, value: str) -> bytes:
        return name + bytes([len(value)]) + value.encode()

    post, http, https, path, authority, content_type = (
        b"\x83",
        b"\x86",
        b"\x87",
        b"\x04",
        b"\x01",
        b"\x0f\x10",
    )
    return b"".join((
        post,
        http if door is None else https,
        literal(path, method),
        literal(authority, "localhost" if door is None else door.address),
        literal(content_type, "application/grpc"),
        literal(b"\x00\x02te", "trailers"),
    ))  # fmt: skip
