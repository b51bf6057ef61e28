"""The socket: known users only, framed messages, one line of log per answer.

One message is decided about at a time. Who is connected waits for a turn, and nobody for another peer's pace:
whoever holds a connection and is silent, or speaks byte by byte, must not keep an officer's freeze out.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, Final

from custody.signer.requests import GO_ASIDE, Message
from kernel import canonical, frames
from kernel.seats import Seats

IDLE_S: Final = 5.0  # a peer that says nothing for so long is hung up on
QUEUE: Final = 64
LOOK_UP_S: Final = 1.0

_PEER: Final = struct.Struct("3i")  # pid, uid, gid


def listen(path: Path) -> socket.socket:
    """A listening socket at that path; the folder's permissions decide who can even reach it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise FileExistsError(f"a signer is listening at {path}")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o660)
    listener.listen(QUEUE)
    return listener


def serve(
    listener: socket.socket,
    *,
    answer: Callable[[Message, int], Message],
    allowed: Collection[int],
    log: Callable[[str], None],
    running: Callable[[], bool] = lambda: True,
    peers: Seats[socket.socket] | None = None,
) -> None:
    """Answer connections until `running` says no. The system itself vouches for a peer's user.

    A request that cannot be answered ends its connection, never the signer.
    """
    peers = peers or Seats(threading.RLock(), threading.Condition)
    arrived, free = SimpleQueue[tuple[socket.socket, int] | None](), threading.Semaphore(0)
    threads = 0

    def talk(connection: socket.socket, uid: int) -> None:
        try:
            with connection, connection.makefile("rb") as asked:
                while header := _read(asked, frames.HEADER_BYTES, may_end=True):
                    message = frames.decode_body(_read(asked, frames.body_length(header)))
                    with peers.turn(connection, aside=message.get("type") in GO_ASIDE):
                        reply = answer(message, uid)
                        log(_line(reply, uid))
                    connection.sendall(frames.encode(reply))
        except Exception as error:  # noqa: BLE001 - a person would have to type the PIN again
            log(f"closed user={uid} why={type(error).__name__} {_plain(str(error))[:200]}")
        finally:
            peers.leave(connection)

    def attend() -> None:
        for who in iter(arrived.get, None):
            talk(*who)
            free.release()

    try:
        while running():
            connection = _next(listener)
            connection.settimeout(IDLE_S)
            _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            if uid not in allowed:
                log(f"refused user={uid} code=SIGNER_UNKNOWN_PEER")
                connection.close()
                continue
            if (gone := peers.enter(connection, uid)) is not None:
                with contextlib.suppress(OSError):  # it may have gone by itself
                    gone.shutdown(socket.SHUT_RDWR)
            if not free.acquire(blocking=False):  # a thread that has signed before does it with less work
                threading.Thread(target=attend, daemon=True).start()
                threads += 1
            arrived.put((connection, uid))
    except BaseException:
        peers.close()
        raise
    finally:
        for _ in range(threads):  # each ends once it has nobody left to answer
            arrived.put(None)
    peers.wait()


def _next(listener: socket.socket) -> socket.socket:
    """Whoever comes next. A signal that arrives just before a wait, or in another thread, does not end it:
    its handler runs when the wait is over, so no wait is long.
    """
    listener.settimeout(LOOK_UP_S)
    while True:
        with contextlib.suppress(TimeoutError):
            return listener.accept()[0]


def _read(asked: BinaryIO, count: int, *, may_end: bool = False) -> bytes:
    data = asked.read(count)
    if len(data) < count and (data or not may_end):
        raise ConnectionError("the peer went away in the middle of a message")
    return data


def _line(reply: Message, uid: int) -> str:
    names = ("type", "code", "alert", "txid", "kind", "state")
    shown = [f"{name}={_plain(reply[name])}" for name in names if name in reply]
    return " ".join([*shown, f"user={uid}"])


def _plain(value: canonical.Value) -> str:
    """No spaces, no control characters: a log line stays one line, whatever a peer sent."""
    return "".join(character for character in str(value) if character.isprintable() and character != " ")
