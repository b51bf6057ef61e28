"""A witness: a small program, run apart from the application, that no rewritten log gets past.

    python -m core.audit.witness --name NAME --log KEYFILE --state DIR --socket PATH

It remembers the largest tree of one log that it has seen, and cosigns a checkpoint only when the log's key
signed it and a proof shows that it appends to that tree. So a log that was cut back, or rewritten and signed
anew with its own stolen key, finds nobody to cosign it. It speaks `POST /add-checkpoint` of C2SP's
tlog-witness over a unix socket, and answers `GET /seen` with `size base64-root`.

DIR is made at the first start: `key.pem` (its own Ed25519 key), `key.txt` (for auditors) and `seen` (what it
last saw). A witness whose key is there but whose memory is missing does not start: it would vouch for
anything. It needs no Django and no database.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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


class Witness:
    """One log's witness: what it has seen, and its key."""

    def __init__(self, *, name: str, log: note.Verifier, state: Path) -> None:
        self._log, self._seen_file, self._lock = log, state / "seen", threading.Lock()
        self._key = _key(state)
        self.cosigner = cosignature.Cosigner(name, self._key.public_key().public_bytes_raw())
        _replace(state / "key.txt", f"{self.cosigner}\n", mode=0o644)
        self.size, self.root = parse_seen(self._seen_file.read_text(encoding="ascii"))

    def seen(self) -> str:
        """The largest tree that it has cosigned."""
        return f"{self.size} {encodings.base64_standard(self.root)}\n"

    def add(self, body: bytes, *, at: int) -> Answer:
        """Cosign the checkpoint of a request, or say why not. What it saw is on disk before it answers."""
        try:
            old, proof, signed = _parse(body)
        except (ValueError, UnicodeDecodeError) as error:
            return Answer(400, f"{error}\n")
        try:
            text = note.open_note(signed, by=self._log)
            head = note.Checkpoint.parse(text)
        except note.NotSigned as error:
            return Answer(403, f"{error}\n")
        except note.BadNote as error:
            return Answer(400, f"{error}\n")
        if head.origin != self._log.name:
            return Answer(404, "another log\n")
        if old > head.size:
            return Answer(400, "the old size is larger than the checkpoint\n")
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
                _replace(self._seen_file, f"{head.size} {encodings.base64_standard(head.root)}\n", mode=0o644)
                self.size, self.root = head.size, head.root
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
        state.mkdir(parents=True, exist_ok=True)
        fresh = Ed25519PrivateKey.generate()
        if not seen.exists():
            _replace(seen, f"0 {encodings.base64_standard(merkle.EMPTY_ROOT)}\n", mode=0o644)
        pem = fresh.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _replace(path, pem.decode(), mode=0o400)
    if not seen.exists():
        raise NoMemory(f"{seen} is missing: a witness that forgot would vouch for anything")
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise NoMemory(f"{path} holds no Ed25519 key")
    return key


def _replace(path: Path, text: str, *, mode: int) -> None:
    """Write the whole file durably, or leave the old one."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Server(UnixStreamServer):
    """One request after the other: nothing to race for."""

    def __init__(self, path: Path, witness: Witness) -> None:
        path.unlink(missing_ok=True)
        self.witness = witness
        super().__init__(str(path), _Handler)
        path.chmod(0o666)  # whoever asks gets a cosignature only for what the log's key signed


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
            answer = self.server.witness.add(self.rfile.read(int(length)), at=int(time.time()))
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
        print(f"witness: {format % arguments}", file=sys.stderr, flush=True)

    def address_string(self) -> str:
        return "unix"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program until stopped."""
    parser = argparse.ArgumentParser(prog="audit-witness", description="Cosign one log's checkpoints.")
    parser.add_argument("--name", required=True, help="the witness's name in its cosignatures")
    parser.add_argument("--log", type=Path, required=True, help="file with the log's verifier key")
    parser.add_argument("--state", type=Path, required=True, help="folder of its key and memory")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    options = parser.parse_args(arguments)
    try:
        log = note.Verifier.parse(options.log.read_text(encoding="utf-8"))
        witness = Witness(name=options.name, log=log, state=options.state)
    except (OSError, ValueError, NoMemory) as error:
        print(f"witness: {error}", file=sys.stderr)
        return 2
    with Server(options.socket, witness) as server:
        print(f"witness {witness.cosigner.name} of {log.name} ready at size {witness.size}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
