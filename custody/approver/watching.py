"""The side of the log that witnesses see: framed questions on a socket of its own, never over HTTP.

The same messages as a signer's (`log_head`, `log_proof`, `log_entries`, `log_cosigned`), so that one
collector carries both. It is told who may ask; the public page has no way to this socket.
"""

from __future__ import annotations

import os
import socket
import socketserver
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from custody.approver.log import SigningLog
from custody.approver.seated import Server, user_of
from kernel import canonical, frames
from kernel.members import is_version
from kernel.seats import Gone

IDLE_S: Final = 5.0

Message = dict[str, canonical.Value]


class BadQuestion(ValueError):
    """No such message, or places that the log does not have."""


def answer(log: SigningLog, message: Mapping[str, canonical.Value]) -> Message:
    """The answer to one message; BadQuestion."""
    if not is_version(message.get("v"), 1):
        raise BadQuestion("no such version or type")
    match message:
        case {"v": _, "type": "log_head", **rest} if not rest:
            return {"v": 1, "type": "log_head", "note": log.head(), "key": str(log.verifier)}
        case {"v": _, "type": "log_proof", "old": old, "size": size, **rest} if not rest:
            first, end = _places(log, old, size)
            hashes: list[canonical.Value] = [item.hex() for item in log.proof(first, end)]
            return {"v": 1, "type": "log_proof", "hashes": hashes}
        case {"v": _, "type": "log_entries", "start": start, "end": end, **rest} if not rest:
            first, last = _places(log, start, end)
            lines: list[canonical.Value] = [*log.entries(first, last)]
            return {"v": 1, "type": "log_entries", "start": first, "lines": lines}
        case {"v": _, "type": "log_cosigned", "note": str(), **rest} if not rest:
            return {"v": 1, "type": "cosigned"}  # whoever collects keeps it: the page waits for no witness
        case _:
            raise BadQuestion("no such version or type")


class _Handler(socketserver.BaseRequestHandler):
    """One connection: known users only, one question after the other."""

    server: Watch

    def handle(self) -> None:
        """Until the peer has nothing more to ask."""
        connection: socket.socket = self.request
        connection.settimeout(IDLE_S)
        uid = user_of(connection)
        if uid not in self.server.allowed:
            return
        try:
            while header := _exactly(connection, frames.HEADER_BYTES):
                message = frames.decode_body(_exactly(connection, frames.body_length(header)))
                with self.server.seats.turn(connection):
                    said = frames.encode(answer(self.server.log, message))
                connection.sendall(said)
        except (OSError, frames.BadFrame, BadQuestion, Gone) as error:
            print(f"approver: log question refused: {error or type(error).__name__}", flush=True)


class Watch(Server):
    """Serves the log at a path to these users."""

    def __init__(self, path: Path, log: SigningLog, *, allowed: Collection[int]) -> None:
        path.unlink(missing_ok=True)
        super().__init__(path, _Handler)
        os.chmod(path, 0o666)  # noqa: S103, PTH101 - the peer's user decides, as the system vouches for it
        self.log, self.allowed = log, frozenset(allowed)


def _places(log: SigningLog, first: canonical.Value, end: canonical.Value) -> tuple[int, int]:
    if type(first) is not int or type(end) is not int or not 0 <= first <= end <= log.tree.size:
        raise BadQuestion(f"places in a log of {log.tree.size} lines")
    return first, end


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            if data:
                raise ConnectionError("the peer went away in the middle of a message")
            return b""
        data += piece
    return data
