"""The witnesses of this log: who they are, and asking one over its unix socket."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.trusted import serving
from kernel import cosignature, encodings

_PATIENCE_S: Final = 3.0
_ANSWER_BYTES_MAX: Final = 4096


class Unwilling(Exception):
    """The witness does not cosign; the text says why. A 409 says which size it has seen."""

    def __init__(self, text: str, *, seen: int | None = None) -> None:
        super().__init__(text)
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness's key, and the socket at which it is asked."""

    cosigner: cosignature.Cosigner
    socket: Path


def read(path: Path | None) -> list[Witness]:
    """The witnesses in a file of lines `name+hash+key socket`; none without a file."""
    if path is None or not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            key, _, place = line.strip().partition(" ")
            found.append(Witness(cosignature.Cosigner.parse(key), Path(place)))
    return found


def keys(path: Path | None) -> list[cosignature.Cosigner]:
    """Their keys alone."""
    return [one.cosigner for one in read(path)]


def ask(witness: Witness, *, old: int, proof: Sequence[bytes], note: str) -> str:
    """The witness's signature line on a checkpoint that extends the tree of `old` leaves; Unwilling."""
    lines = [f"old {old}", *(encodings.base64_standard(step) for step in proof)]
    body = "\n".join(lines) + "\n\n" + note
    connection = _UnixConnection(witness.socket)
    # To connect, and to answer. A witness that drips keeps no other waiting.
    enough = threading.Timer(2 * _PATIENCE_S, connection.hang_up)
    enough.start()
    try:
        connection.request("POST", "/add-checkpoint", body=body.encode(), headers={"Host": "witness"})
        answer = connection.getresponse()
        text = answer.read(_ANSWER_BYTES_MAX).decode()
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        raise Unwilling(f"{witness.cosigner.name} cannot be asked: {error}") from None
    finally:
        enough.cancel()
        connection.close()
    if answer.status == http.HTTPStatus.CONFLICT and text.strip().isdecimal():
        raise Unwilling(f"{witness.cosigner.name} has seen {text.strip()} events", seen=int(text))
    if answer.status != http.HTTPStatus.OK:
        raise Unwilling(f"{witness.cosigner.name} answers {answer.status}: {text.strip()}")
    return text.strip()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("witness", timeout=_PATIENCE_S)
        self._path = path
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def hang_up(self) -> None:
        """End it from another thread: whoever reads meets the end."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def connect(self) -> None:
        self.sock = self._line
        serving.connect(self.sock, self._path, within_s=_PATIENCE_S)
        self.sock.settimeout(_PATIENCE_S)
