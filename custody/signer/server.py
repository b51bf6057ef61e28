"""The socket: known users only, framed messages, one line of log per answer.

One message is answered at a time. Everybody who is connected waits for a turn, and nobody for another peer's
pace: whoever holds a connection and is silent, or speaks byte by byte, must not keep an officer's freeze out.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from custody.signer.requests import Message
from kernel import canonical, frames

IDLE_S: Final = 5.0  # a peer that says nothing for so long is hung up on
PEERS_MAX: Final = 64  # one more, and the one that has waited longest to say something is hung up on

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
    listener.listen(PEERS_MAX)
    return listener


def serve(
    listener: socket.socket,
    *,
    answer: Callable[[Message, int], Message],
    allowed: Collection[int],
    log: Callable[[str], None],
    running: Callable[[], bool] = lambda: True,
) -> None:
    """Answer connections until `running` says no. The system itself vouches for a peer's user.

    A request that cannot be answered ends its connection, never the signer.
    """
    peers = _Peers(answer, log)
    try:
        while running():
            connection, _ = listener.accept()
            connection.settimeout(IDLE_S)
            _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            if uid in allowed:
                peers.let_in(connection, uid)
            else:
                log(f"refused user={uid} code=SIGNER_UNKNOWN_PEER")
                connection.close()
    except BaseException:
        peers.turn.acquire()  # what has begun ends, and nothing more begins
        raise
    peers.wait()


class _Peers:
    """Who is connected; each has a thread that reads, and whoever has the turn is answered."""

    def __init__(self, answer: Callable[[Message, int], Message], log: Callable[[str], None]) -> None:
        self._answer, self._log = answer, log
        self.turn = threading.Lock()
        self._room = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._silent: OrderedDict[socket.socket, None] = OrderedDict()  # the longest first

    def let_in(self, connection: socket.socket, uid: int) -> None:
        """Talk to it in a thread of its own, as soon as there is room."""
        with self._room:
            while len(self._threads) >= PEERS_MAX:
                if self._silent:
                    with contextlib.suppress(OSError):  # it may have gone by itself
                        self._silent.popitem(last=False)[0].shutdown(socket.SHUT_RDWR)
                self._room.wait()
            thread = threading.Thread(target=self._talk, args=(connection, uid), daemon=True)
            self._threads.add(thread)
            self._silent[connection] = None
        thread.start()

    def wait(self) -> None:
        """Until everybody who is connected has gone."""
        with self._room:
            self._room.wait_for(lambda: not self._threads)

    def _talk(self, connection: socket.socket, uid: int) -> None:
        try:
            with connection:
                self._converse(connection, uid)
        except Exception as error:  # noqa: BLE001 - a person would have to type the PIN again
            self._log(f"closed user={uid} why={type(error).__name__} {_plain(str(error))[:200]}")
        finally:
            with self._room:
                self._silent.pop(connection, None)
                self._threads.discard(threading.current_thread())
                self._room.notify()

    def _converse(self, connection: socket.socket, uid: int) -> None:
        while header := _receive(connection, frames.HEADER_BYTES, may_end=True):
            message = frames.decode_body(_receive(connection, frames.body_length(header)))
            with self._room:
                self._silent.pop(connection, None)
            with self.turn:
                reply = self._answer(message, uid)
                self._log(_line(reply, uid))
            with self._room:
                self._silent[connection] = None
                self._room.notify()
            connection.sendall(frames.encode(reply))


def _receive(connection: socket.socket, count: int, *, may_end: bool = False) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            if may_end and not data:
                return b""
            raise ConnectionError("the peer went away in the middle of a message")
        data += piece
    return bytes(data)


def _line(reply: Message, uid: int) -> str:
    shown = {
        name: reply[name] for name in ("type", "code", "alert", "txid", "kind", "state") if name in reply
    }
    return " ".join([f"{name}={_plain(value)}" for name, value in shown.items()] + [f"user={uid}"])


def _plain(value: canonical.Value) -> str:
    """No spaces, no control characters: a log line stays one line, whatever a peer sent."""
    return "".join(character for character in str(value) if character.isprintable() and character != " ")
