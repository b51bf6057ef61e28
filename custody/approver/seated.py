"""A server with a thread for each connection, and so many places for each user that may connect.

Without a bound, whoever holds connections open and says nothing takes one thread each, until the page on
which officers sign has none left. Of one user's connections the longest silent goes for the next.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from pathlib import Path
from typing import Any, Final

from kernel.seats import PER_USER, Seats

_PEER: Final = struct.Struct("3i")  # pid, uid, gid


def user_of(connection: socket.socket) -> int:
    """The peer's user, for whom the system vouches."""
    _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(uid)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """On a unix socket. What is written down is written in `seats.turn`, one at a time."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, handler: Any, *, places: int = PER_USER) -> None:
        self.seats = Seats[socket.socket](threading.RLock(), threading.Condition, per_user=places)
        super().__init__(str(path), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own; somebody else may have to go for it."""
        if (gone := self.seats.enter(request, user_of(request))) is not None:
            with contextlib.suppress(OSError):  # it may have gone by itself
                gone.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """It has gone."""
        super().shutdown_request(request)
        self.seats.leave(request)
