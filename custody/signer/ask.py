"""Ask a running signer, from the host's command line, as a user that it answers.

    python -m custody.signer.ask --socket PATH health
    python -m custody.signer.ask --socket PATH order FILE
    python -m custody.signer.ask --socket PATH unlock

`health` prints the signer's answer. `order` hands an officers' order over (freeze, release, reopen, registry,
recovery, veto): a file with the canonical message, as it travels. `unlock` asks for the PIN at the terminal
and hands it over; run it as the signer's own user. Exit code 0: ready, obeyed or unlocked; 1: anything else.
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from custody.signer import starting
from custody.signer.requests import Message
from kernel import canonical, frames

ANSWER_WITHIN_S: Final = 15.0


class NoAnswer(RuntimeError):
    """The signer hung up: it does not know this user, or could not write its journal."""


def ask(path: Path, message: Mapping[str, canonical.Value]) -> Message:
    """One message, one answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        # Python's own time-out would refuse at once where others have filled the queue: an order waits in it.
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(ANSWER_WITHIN_S), 0)
        )
        connection.connect(str(path))
        connection.settimeout(ANSWER_WITHIN_S)
        connection.sendall(frames.encode(message))
        length = frames.body_length(_exactly(connection, frames.HEADER_BYTES))
        return frames.decode_body(_exactly(connection, length))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="custody.signer.ask", description="Ask a running signer.")
    parser.add_argument("--socket", type=Path, required=True)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("health", help="how it is")
    verbs.add_parser("order", help="hand an order over").add_argument("file", type=Path)
    verbs.add_parser("unlock", help="enter the PIN of a signer that waits for it")
    options = parser.parse_args(arguments)
    try:
        message: Mapping[str, canonical.Value] = {"v": 1, "type": "health"}
        if options.verb == "order":
            message = canonical.decode_object(options.file.read_bytes().removesuffix(b"\n"))
        elif options.verb == "unlock":
            message = {"v": 1, "type": "unlock", "pin": starting.read_pin()}
        answer = ask(options.socket, message)
    except (OSError, NoAnswer, starting.NoPin, frames.BadFrame, canonical.NotCanonical) as error:
        print(error, file=sys.stderr)
        return 1
    print(canonical.encode(answer).decode())
    return 0 if answer.get("type") in ("obeyed", "unlocked") or answer.get("state") == "ready" else 1


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise NoAnswer("the signer hung up without an answer")
        data += piece
    return data


if __name__ == "__main__":
    sys.exit(main())
