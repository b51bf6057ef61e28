"""The vault's own log: a line per opening and per refusal, on disk before the answer, under a Merkle tree.

Witnesses cosign its head as they do for the audit log, so that whoever takes over the vault's host cannot
make yesterday's openings disappear, and whoever takes over the web tier opens nothing without a line here.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel import canonical, merkle, note

LINES_BYTES_MAX: Final = 100_000
LINES_MAX: Final = 500


class LogDamaged(Exception):
    """The file is held by another process, or its last line was not finished."""


class Log:
    """The file and its tree. One process writes it."""

    def __init__(self, path: Path, *, origin: str, key: Ed25519PrivateKey) -> None:
        self.verifier = note.Verifier(origin, key.public_key().public_bytes_raw())
        self._key = key
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise LogDamaged(f"another process holds {path}") from None
        self.lines = path.read_bytes().splitlines(keepends=True)
        if self.lines and not self.lines[-1].endswith(b"\n"):
            # It was never answered for: the line is written whole before anything leaves.
            os.ftruncate(self._file, sum(map(len, self.lines[:-1])))
            del self.lines[-1]
        self.tree = merkle.Tree()
        for line in self.lines:
            self.tree.append(line[:-1])

    def add(self, members: Mapping[str, canonical.Value]) -> int:
        """Write one line durably; its place."""
        line = canonical.encode(members)
        os.write(self._file, line + b"\n")
        os.fsync(self._file)
        self.lines.append(line + b"\n")
        self.tree.append(line)
        return self.tree.size - 1

    def answer(self, message: Mapping[str, canonical.Value]) -> dict[str, canonical.Value] | None:
        """What the collector is told: head, proof, lines. None for other questions."""
        match message:
            case {"type": "log_head"}:
                return {"v": 1, "type": "log_head", "note": self.head(), "key": str(self.verifier)}
            case {"type": "log_proof", "old": int(old), "size": int(size)} if (
                0 <= old <= size <= self.tree.size
            ):
                hashes: list[canonical.Value] = [step.hex() for step in self.tree.consistency(old, size)]
                return {"v": 1, "type": "log_proof", "hashes": hashes}
            case {"type": "log_entries", "start": int(start), "end": int(end)} if 0 <= start <= end:
                return {"v": 1, "type": "log_entries", "start": start, "lines": self._between(start, end)}
            case {"type": "log_cosigned"}:
                return {"v": 1, "type": "cosigned"}  # the collector keeps it: opening waits for no witness
            case _:
                return None

    def head(self) -> str:
        """The signed note of the tree's head."""
        head = note.Checkpoint(self.verifier.name, self.tree.size, self.tree.root(self.tree.size))
        return note.sign(head.text(), by=self.verifier, signer=self._key.sign)

    def close(self) -> None:
        """Let another process write."""
        os.close(self._file)

    def _between(self, start: int, end: int) -> list[canonical.Value]:
        found: list[canonical.Value] = []
        room = LINES_BYTES_MAX
        for line in self.lines[start : min(end, start + LINES_MAX)]:
            room -= len(line)
            if room < 0:
                break
            found.append(line[:-1].decode())
        return found
