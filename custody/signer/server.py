"""The socket: one connection at a time, known users only, framed messages, one line of log per answer."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from custody.signer.signing import Message
from kernel import canonical, frames

IDLE_S: Final = 5.0  # a peer that says nothing for so long must not keep others waiting

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
    listener.listen(16)
    return listener


def serve(
    listener: socket.socket,
    *,
    answer: Callable[[Message, int], Message],
    allowed: Collection[int],
    log: Callable[[str], None],
    running: Callable[[], bool] = lambda: True,
) -> None:
    """Answer connections one by one until `running` says no. The system itself vouches for a peer's user.

    A request that cannot be answered ends its connection, never the signer.
    """
    while running():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(IDLE_S)
            _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            if uid not in allowed:
                log(f"refused user={uid} code=SIGNER_UNKNOWN_PEER")
                continue
            try:
                _converse(connection, answer=answer, log=log, uid=uid)
            except Exception as error:  # noqa: BLE001 - a person would have to type the PIN again
                log(f"closed user={uid} why={type(error).__name__} {_plain(str(error))[:200]}")


def _converse(
    connection: socket.socket,
    *,
    answer: Callable[[Message, int], Message],
    log: Callable[[str], None],
    uid: int,
) -> None:
    while header := _receive(connection, frames.HEADER_BYTES, may_end=True):
        message = frames.decode_body(_receive(connection, frames.body_length(header)))
        reply = answer(message, uid)
        log(_line(reply, uid))
        connection.sendall(frames.encode(reply))


def _receive(connection: socket.socket, count: int, *, may_end: bool = False) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            if may_end and not data:
                return b""
            raise ConnectionError("the peer went away in the middle of a message")
        data += piece
    return data


def _line(reply: Message, uid: int) -> str:
    shown = {
        name: reply[name] for name in ("type", "code", "alert", "txid", "kind", "state") if name in reply
    }
    return " ".join([f"{name}={_plain(value)}" for name, value in shown.items()] + [f"user={uid}"])


def _plain(value: canonical.Value) -> str:
    """No spaces, no control characters: a log line stays one line, whatever a peer sent."""
    return "".join(character for character in str(value) if character.isprintable() and character != " ")


def own_user() -> int:
    """The user this process runs as."""
    return os.getuid()
