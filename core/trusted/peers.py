"""Who is connected to a trusted program: each peer has a thread that reads and writes, one is answered.

Everybody waits for a turn, and nobody for another peer's pace: whoever holds a connection and is silent, or
speaks byte by byte, keeps nobody else out (`kernel.seats`).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Final

from kernel.seats import Seats

_PEER: Final = struct.Struct("3i")  # pid, uid, gid


def user_of(connection: socket.socket) -> int:
    """The peer's user, for whom the kernel vouches: nobody can say another's name."""
    _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(uid)


class Peers(Seats[socket.socket]):
    """All that are connected to one program."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(threading.RLock(), threading.Condition)
        self._log = log

    def let_in(self, connection: socket.socket, uid: int, talk: Callable[[], None]) -> None:
        """Let `talk` use the connection in a thread, and close it afterwards; somebody else may go for it."""
        if (gone := self.enter(connection, uid)) is not None:
            with contextlib.suppress(OSError):  # it may have gone by itself
                gone.shutdown(socket.SHUT_RDWR)
        threading.Thread(target=self._attend, args=(connection, uid, talk), daemon=True).start()

    def _attend(self, connection: socket.socket, uid: int, talk: Callable[[], None]) -> None:
        try:
            with connection:
                talk()
        except Exception as error:  # noqa: BLE001 - whatever one peer brought about is no reason to end
            self._log(f"closed user={uid} why={type(error).__name__}")
        finally:
            self.leave(connection)
