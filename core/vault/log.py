"""The vault's own log: a line per opening and per refusal, on disk before the answer, under a Merkle tree.

Witnesses cosign its head as they do for the audit log, so that whoever takes over the vault's host cannot
make yesterday's openings disappear, and whoever takes over the web tier opens nothing without a line here.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel import canonical, merkle, note, witnessed


class LogDamaged(Exception):
    """The file is held by another process, or a line is not what a log of ours holds."""


class Log:
    """The file and its tree. One process writes it. `cut` tells how many bytes of an unfinished line were cut
    off at the start, `is_stuck` whether the last line could not be written.
    """

    def __init__(self, path: Path, *, origin: str, key: Ed25519PrivateKey) -> None:
        self.verifier = note.Verifier(origin, key.public_key().public_bytes_raw())
        self._key = key
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise LogDamaged(f"another process holds {path}") from None
        data = path.read_bytes()
        self._size = data.rfind(b"\n") + 1  # of what was acknowledged
        self.cut, self.is_stuck = len(data) - self._size, False
        if self.cut:
            # It was never answered for: the line is written whole before anything leaves.
            os.ftruncate(self._file, self._size)
        self.lines = data[: self._size].splitlines(keepends=True)
        self.tree = merkle.Tree()
        for number, line in enumerate(self.lines, start=1):
            try:
                canonical.decode_object(line[:-1])
            except canonical.NotCanonical as error:
                os.close(self._file)
                raise LogDamaged(f"line {number} of {path}: {error}") from None
            self.tree.append(line[:-1])

    def add(self, members: Mapping[str, canonical.Value]) -> int:
        """Write one line durably; its place. OSError, and nothing of it stays."""
        line = canonical.encode(members)
        self._append(line + b"\n")
        self.lines.append(line + b"\n")
        self.tree.append(line)
        return self.tree.size - 1

    def _append(self, line: bytes) -> None:
        self.is_stuck = True
        try:
            if os.fstat(self._file).st_size != self._size:  # what was left behind could not be cut back then
                os.ftruncate(self._file, self._size)
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, "a line was not written whole")
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)
        self.is_stuck = False

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
                found = self.lines[start : min(end, start + witnessed.LINES_MAX)]
                return {"v": 1, "type": "log_entries", "start": start, "lines": [*witnessed.page(found)]}
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
