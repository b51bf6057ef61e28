"""TLS over a socket that one thread reads while others write.

The `ssl` module's own sockets may not be used so. Here the socket carries bytes, and they are sealed and
opened in memory, under the lock of whoever calls.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Final

from engine_bridge.adapters.channel import EngineAway
from engine_bridge.adapters.papers import Door

_PIECE: Final = 64 * 1024


class Seal:
    """One connection's keys. Its methods may not run at the same time."""

    def __init__(self, raw: socket.socket, door: Door, *, timeout_s: float) -> None:
        """Shake hands on a connected socket. OSError, of which ssl.SSLError is one; EngineAway."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = door.context().wrap_bio(self._incoming, self._outgoing, server_hostname=door.host)
        deadline = time.monotonic() + timeout_s
        while True:
            raw.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(self._outgoing.read())
                if not (piece := raw.recv(_PIECE)):
                    raise EngineAway("the connection ended in the TLS handshake") from None
                self._incoming.write(piece)
        raw.sendall(self._outgoing.read())
        if self._tls.selected_alpn_protocol() != "h2":
            raise EngineAway("no HTTP/2 behind this TLS: it is no engine")

    def seal(self, plain: bytearray) -> bytes:
        """What goes over the socket for these bytes, and for what TLS itself has to say."""
        written = 0
        while written < len(plain):
            written += self._tls.write(bytes(plain[written:]))
        return self._outgoing.read()

    def open(self, sealed: memoryview) -> bytes:
        """What these bytes say; nothing where they are only TLS's own. EngineAway at its end, OSError."""
        self._incoming.write(sealed)
        plain = b""
        while True:
            try:
                piece = self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                return plain
            except ssl.SSLZeroReturnError:
                piece = b""
            if not piece:
                if plain:
                    return plain
                raise EngineAway("the connection ended")
            plain += piece
