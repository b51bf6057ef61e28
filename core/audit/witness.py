"""A witness: a small program, run apart from the application, that no rewritten log gets past.

    python -m core.audit.witness --name NAME --log KEYFILE [--log KEYFILE]... --state DIR --socket PATH
    python -m core.audit.witness --name NAME --state DIR --provision

It remembers the largest tree of each log that it was given, and cosigns a checkpoint only when that log's key
signed it and a proof shows that it appends to that tree. So a log that was cut back, or rewritten and signed
anew with its own stolen key, finds nobody to cosign it. It speaks `POST /add-checkpoint` of C2SP's
tlog-witness over a unix socket, and answers `GET /seen` with a line `size base64-root origin` per log.

A KEYFILE holds a line for each log: its verifier key, and whatever else, which is not for witnesses. DIR is
made at the first start: `key.pem` (its own Ed25519 key), `key.txt` (for auditors), and `seen/` with a file
for each log. `--provision` makes the key and prints its public half, for who must know it before the first
start. A witness that has watched a log and has no memory of it does not start: it would vouch for
anything. Nor does a second one on the same DIR: two memories would vouch for two histories. It needs no
Django and no database.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any, Final
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.trusted import starting
from core.trusted.peers import Peers, user_of
from kernel import cosignature, encodings, merkle, note

_BODY_BYTES_MAX: Final = 64 * 1024
_PROOF_LINES_MAX: Final = 63
_PATIENCE_S: Final = 5.0


class NoMemory(Exception):
    """The key is there, and what it has seen is not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: str
    kind: str = "text/plain; charset=utf-8"


class _Memory:
    """What was seen of one log. Check and write are one step under its lock."""

    def __init__(self, log: note.Verifier, path: Path) -> None:
        self.log, self._path, self._lock = log, path, threading.Lock()
        self.size, self.root = parse_seen(path.read_text(encoding="ascii"))

    def extend(self, head: note.Checkpoint, *, old: int, proof: Sequence[bytes]) -> Answer | None:
        """Remember the head, on disk, or say why not."""
        with self._lock:
            if old != self.size or (old == head.size and head.root != self.root):
                return Answer(409, f"{self.size}\n", kind="text/x.tlog.size")
            try:
                merkle.verify_consistency(
                    proof, size=old, root=self.root, new_size=head.size, new_root=head.root
                )
            except merkle.BadProof as error:
                return Answer(422, f"{error}\n")
            if head.size > self.size:
                line = f"{head.size} {encodings.base64_standard(head.root)}\n"
                starting.replace(self._path, line.encode(), mode=0o644)
                self.size, self.root = head.size, head.root
        return None


class Witness:
    """What it has seen of each of its logs, and its key."""

    def __init__(self, *, name: str, logs: Sequence[note.Verifier], state: Path) -> None:
        self._key = _key(state)
        self.cosigner = cosignature.Cosigner(name, self._key.public_key().public_bytes_raw())
        self._held = _alone(state)
        try:
            starting.replace(state / "key.txt", f"{self.cosigner}\n".encode(), mode=0o644)
            self._logs = {log.name: _Memory(log, _seen_file(state, log.name)) for log in logs}
            if len(self._logs) != len(logs):
                raise ValueError("two keys for one log: a witness is given one")
        except (OSError, ValueError, NoMemory):
            self.close()
            raise

    def close(self) -> None:
        """Let another process have the memory."""
        os.close(self._held)

    def seen(self) -> str:
        """The largest tree of each log that it has cosigned."""
        return "".join(
            f"{one.size} {encodings.base64_standard(one.root)} {name}\n" for name, one in self._logs.items()
        )

    def size(self, log: str) -> int:
        """How many entries of that log it has seen."""
        return self._logs[log].size

    def add(self, body: bytes, *, at: int) -> Answer:
        """Cosign the checkpoint of a request, or say why not. What it saw is on disk before it answers."""
        try:
            old, proof, signed = _parse(body)
        except (ValueError, UnicodeDecodeError) as error:
            return Answer(400, f"{error}\n")
        memory = self._logs.get(signed.partition("\n")[0])
        if memory is None:
            return Answer(404, "another log\n")
        try:
            text = note.open_note(signed, by=memory.log)
            head = note.Checkpoint.parse(text)
        except note.NotSigned as error:
            return Answer(403, f"{error}\n")
        except note.BadNote as error:
            return Answer(400, f"{error}\n")
        if old > head.size:
            return Answer(400, "the old size is larger than the checkpoint\n")
        refused = memory.extend(head, old=old, proof=proof)
        if refused is not None:
            return refused
        return Answer(200, cosignature.cosign(text, by=self.cosigner, signer=self._key.sign, at=at) + "\n")


def parse_seen(text: str) -> tuple[int, bytes]:
    """Size and root of a line `size base64-root`."""
    parts = text.split()
    if len(parts) != 2 or not parts[0].isdecimal():
        raise ValueError("what a witness saw is `size base64-root`")
    return int(parts[0]), encodings.from_base64_standard(parts[1])


def _parse(body: bytes) -> tuple[int, list[bytes], str]:
    """Old size, proof and checkpoint of a request."""
    head, separator, signed = body.decode().partition("\n\n")
    first, *lines = head.split("\n")
    word, _, number = first.partition(" ")
    if (
        not separator
        or word != "old"
        or not number.isdecimal()
        or len(number) > 19
        or len(lines) > _PROOF_LINES_MAX
    ):
        raise ValueError("a request is `old N`, proof lines, an empty line and a checkpoint")
    return int(number), [encodings.from_base64_standard(line) for line in lines], signed


def _key(state: Path) -> Ed25519PrivateKey:
    """The witness's key; made, with an empty memory, at the first start only."""
    path, seen = state / "key.pem", state / "seen"
    if not path.exists():
        seen.mkdir(parents=True, exist_ok=True)
        fresh = Ed25519PrivateKey.generate()
        pem = fresh.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        starting.replace(state / "watched", b"", mode=0o644)
        starting.replace(path, pem, mode=0o400)
    if not seen.is_dir() or not (state / "watched").exists():
        raise NoMemory(f"{seen} is missing: a witness that forgot would vouch for anything")
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise NoMemory(f"{path} holds no Ed25519 key")
    return key


def _alone(state: Path) -> int:
    """The lock on its memory, an open descriptor; NoMemory where another process has it."""
    held = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise NoMemory(f"another witness holds {state}") from None
    return held


def seen_path(state: Path, log: str) -> Path:
    """The file with what was seen of that log: `size base64-root`, as the verifier takes it."""
    return state / "seen" / quote(log, safe="")


def _seen_file(state: Path, log: str) -> Path:
    """Its memory of a log; an empty one only for a log that it was never given before."""
    path, watched = seen_path(state, log), state / "watched"
    names = watched.read_text(encoding="ascii").split()
    if log not in names:
        if not path.exists():
            nothing = f"0 {encodings.base64_standard(merkle.EMPTY_ROOT)}\n"
            starting.replace(path, nothing.encode(), mode=0o644)
        starting.replace(watched, "".join(f"{name}\n" for name in [*names, log]).encode(), mode=0o644)
    if not path.exists():
        raise NoMemory(f"{path} is missing: a witness that forgot would vouch for anything")
    return path


class Server(UnixStreamServer):
    """One request is answered after the other, and none waits for whoever is slow to ask."""

    request_queue_size = 64

    def __init__(self, path: Path, witness: Witness) -> None:
        path.unlink(missing_ok=True)
        self.witness, self.peers = witness, Peers(_log)
        super().__init__(str(path), _Handler)
        path.chmod(0o666)  # whoever asks gets a cosignature only for what the log's key signed

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of the peer's own."""
        talk = partial(self.finish_request, request, client_address)
        self.peers.let_in(request, user_of(request), talk)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = _PATIENCE_S

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/add-checkpoint":
            answer = Answer(404, "POST /add-checkpoint\n")
        elif not length.isdecimal() or int(length) > _BODY_BYTES_MAX:
            answer = Answer(400, "a length, and not too long\n")
        else:
            body = self.rfile.read(int(length))
            with self.server.peers.turn(self.connection):
                answer = self.server.witness.add(body, at=int(time.time()))
        self._answer(answer)

    def do_GET(self) -> None:
        found = self.path == "/seen"
        self._answer(Answer(200, self.server.witness.seen()) if found else Answer(404, "GET /seen\n"))

    def _answer(self, answer: Answer) -> None:
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the base's name
        _log(format % arguments)

    def address_string(self) -> str:
        return "unix"


def _log(line: str) -> None:
    print(f"witness: {encodings.plain(line)}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program until stopped."""
    parser = argparse.ArgumentParser(prog="audit-witness", description="Cosign logs' checkpoints.")
    parser.add_argument("--name", required=True, help="the witness's name in its cosignatures")
    parser.add_argument("--log", type=Path, action="append", default=[], help="file with logs' keys")
    parser.add_argument("--state", type=Path, required=True, help="folder of its key and memory")
    parser.add_argument("--socket", type=Path, help="unix socket to listen on")
    parser.add_argument("--provision", action="store_true", help="make the key, print its public half, end")
    options = parser.parse_args(arguments)
    if not options.provision and not (options.log and options.socket):
        parser.error("--log and --socket are needed, or --provision")
    try:
        lines = [line for path in options.log for line in path.read_text(encoding="utf-8").splitlines()]
        logs = [note.Verifier.parse(line.split()[0]) for line in lines if line.strip()]
        witness = Witness(name=options.name, logs=logs, state=options.state)
    except (OSError, ValueError, NoMemory) as error:
        print(f"witness: {error}", file=sys.stderr)
        return 2
    if options.provision:
        print(witness.cosigner)
        return 0
    with Server(options.socket, witness) as server:
        print(f"witness {witness.cosigner.name} of {len(logs)} logs ready", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
