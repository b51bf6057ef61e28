"""The socket of a trusted program: one connection at a time, known users only, framed canonical messages.

The kernel vouches for a peer's user; nobody can say another's name. A request that cannot be answered ends
its connection, never the program.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from kernel import canonical, frames

IDLE_S: Final = 5.0  # a peer that says nothing for so long must not keep others waiting

_PEER: Final = struct.Struct("3i")  # pid, uid, gid

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
    """Answer connections one by one until `running` says no, or the listener is closed."""
    while running():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(IDLE_S)
            _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            if uid not in allowed:
                log(f"refused user={uid}: unknown")
                continue
            try:
                _converse(connection, answer=answer, uid=uid)
            except (OSError, ValueError, TypeError, KeyError) as error:
                log(f"closed user={uid} why={type(error).__name__}")


def _converse(connection: socket.socket, *, answer: Answer, uid: int) -> None:
    while header := receive(connection, frames.HEADER_BYTES, may_end=True):
        message = frames.decode_body(receive(connection, frames.body_length(header)))
        connection.sendall(frames.encode(answer(message, uid)))


def ask(path: Path, *messages: Message, patience_s: float) -> list[dict[str, canonical.Value]]:
    """What the program at that socket answers to these messages; OSError or BadFrame if it does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connect(connection, path, within_s=patience_s)
        connection.settimeout(patience_s)
        answers = []
        for message in messages:
            connection.sendall(frames.encode(message))
            length = frames.body_length(receive(connection, frames.HEADER_BYTES))
            answers.append(frames.decode_body(receive(connection, length)))
        return answers


def connect(connection: socket.socket, path: Path, *, within_s: float) -> None:
    """Connect, waiting so long for a place where others have filled the listener's queue; OSError after it.

    Python's own time-out makes the socket one that does not wait, and Linux refuses such a one at once.
    """
    seconds, rest = divmod(within_s, 1)
    limit = struct.pack("ll", int(seconds), int(rest * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    connection.connect(str(path))


def receive(connection: socket.socket, count: int, *, may_end: bool = False) -> bytes:
    """Exactly so many bytes; nothing at all only where the stream may end here."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            if may_end and not data:
                return b""
            raise ConnectionError("the peer went away in the middle of a message")
        data += piece
    return data
