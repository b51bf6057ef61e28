"""The socket of a trusted program: known users only, framed canonical messages, one answered at a time.

A request that cannot be answered ends its connection, never the program.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from core.trusted.peers import Peers, user_of
from kernel import canonical, frames

IDLE_S: Final = 5.0  # a peer that says nothing for so long is hung up on
LOOK_UP_S: Final = 1.0
_NO_TIME_S: Final = 0.001  # none at all would mean not to wait, which fails in another way

Message = Mapping[str, canonical.Value]
Answer = Callable[[Message, int], Message]
"""What the program says to a message from that user."""


def listen(path: Path) -> socket.socket:
    """A listening socket at that path; the folder's permissions decide who can even reach it."""
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise FileExistsError(f"somebody is listening at {path}")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o666)  # who may ask is decided by the peer's user, below
    listener.listen(64)
    return listener


def serve(
    listener: socket.socket,
    *,
    answer: Answer,
    allowed: Collection[int],
    log: Callable[[str], None],
    running: Callable[[], bool] = lambda: True,
) -> None:
    """Answer connections until `running` says no, or the listener is closed.

    `answer` is called by one thread at a time, not always the same one.
    """
    peers = Peers(log)
    try:
        while running():
            connection = _next(listener)
            connection.settimeout(IDLE_S)
            if (uid := user_of(connection)) in allowed:
                peers.let_in(connection, uid, partial(_converse, connection, uid, answer, peers))
            else:
                log(f"refused user={uid}: unknown")
                connection.close()
    except BaseException:
        peers.close()
        raise
    peers.wait()


def _next(listener: socket.socket) -> socket.socket:
    """Whoever comes next. A signal that arrives just before a wait, or in another thread, does not end it:
    its handler runs when the wait is over, so no wait is long.
    """
    listener.settimeout(LOOK_UP_S)
    while True:
        with contextlib.suppress(TimeoutError):
            return listener.accept()[0]


def _converse(connection: socket.socket, uid: int, answer: Answer, peers: Peers) -> None:
    while header := receive(connection, frames.HEADER_BYTES, may_end=True):
        message = frames.decode_body(receive(connection, frames.body_length(header)))
        with peers.turn(connection):
            said = frames.encode(answer(message, uid))
        connection.sendall(said)


def ask(path: Path, *messages: Message, patience_s: float) -> list[dict[str, canonical.Value]]:
    """What the program at that socket answers to these messages; OSError or BadFrame if it does not.

    `patience_s` is for each whole answer: a program that drips holds nobody up.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connect(connection, path, within_s=patience_s)
        connection.settimeout(patience_s)
        answers = []
        for message in messages:
            connection.sendall(frames.encode(message))
            until = time.monotonic() + patience_s
            length = frames.body_length(receive(connection, frames.HEADER_BYTES, until=until))
            answers.append(frames.decode_body(receive(connection, length, until=until)))
        return answers


def connect(connection: socket.socket, path: Path, *, within_s: float) -> None:
    """Connect, waiting so long for a place where others have filled the listener's queue; OSError after it.

    Python's own time-out makes the socket one that does not wait, and Linux refuses such a one at once.
    """
    seconds, rest = divmod(within_s, 1)
    limit = struct.pack("ll", int(seconds), int(rest * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    connection.connect(str(path))


def receive(
    connection: socket.socket, count: int, *, may_end: bool = False, until: float | None = None
) -> bytes:
    """Exactly so many bytes; nothing at all only where the stream may end here. TimeoutError where they are
    not there at that moment of the monotonic clock.
    """
    data = b""
    while len(data) < count:
        if until is not None:
            connection.settimeout(max(until - time.monotonic(), _NO_TIME_S))
        piece = connection.recv(count - len(data))
        if not piece:
            if may_end and not data:
                return b""
            raise ConnectionError("the peer went away in the middle of a message")
        data += piece
    return data
