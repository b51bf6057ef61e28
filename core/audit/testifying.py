"""Telling the sealer, past the database, which event was just committed. It delays and stops nothing.

A message is the event's number in eight bytes and its leaf hash. Where the sealer does not listen, or does
not keep up, the testimony is dropped: then the event is merely as safe until its seal as the database is. How
many were dropped because the socket was full is told, under the number zero, as soon as there is room again.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction

from kernel import merkle

MESSAGE_BYTES: Final = 8 + merkle.HASH_BYTES
DROPPED: Final = 0
"""The number of no event: what follows it is a count of testimonies that were dropped."""


def message(number: int, content: bytes) -> bytes:
    """One packet."""
    return number.to_bytes(8, "big") + content


class _Line:
    """This process's connection to the sealer; threads share it, since each message is one packet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._dropped = 0

    def say(self, said: bytes) -> None:
        """Send it, or drop it."""
        for _ in range(2):  # the sealer may have been started anew since the last time
            try:
                line = self._connected()
                line.send(said)
                if self._dropped:
                    self._own_up(line)
                return
            except BlockingIOError:
                with self._lock:
                    self._dropped += 1
                return
            except OSError:
                self._drop()

    def _own_up(self, line: socket.socket) -> None:
        """Tell how many were dropped; where there is no room again, the next time."""
        with self._lock:
            count, self._dropped = self._dropped, 0
            try:
                line.send(message(DROPPED, count.to_bytes(merkle.HASH_BYTES, "big")))
            except OSError:
                self._dropped = count

    def _connected(self) -> socket.socket:
        with self._lock:
            if self._socket is None:
                fresh = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                fresh.setblocking(False)
                try:
                    fresh.connect(str(settings.AUDIT_TESTIMONY_SOCKET))
                except OSError:
                    fresh.close()
                    raise
                self._socket = fresh
            return self._socket

    def _drop(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None


_line: Final = _Line()


def testify(number: int, canon: bytes) -> None:
    """Say so once the open transaction has committed; nothing is said of one that rolls back."""
    path: Path | None = settings.AUDIT_TESTIMONY_SOCKET
    if path is not None:
        said = message(number, merkle.leaf(canon))
        transaction.on_commit(lambda: _line.say(said))
