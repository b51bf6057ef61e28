"""What the notary signs, and what it remembers.

It keeps the largest tree that it signed, by itself. A head is signed only under its own origin, only if it is
no smaller, and only with a proof that it continues that tree. So whoever owns the database and the sealer
cannot make it sign a log that was cut back or rewritten. What it signs is on disk before it answers: after a
crash the sealer asks again, from the size that the notary names.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.trusted.serving import Message
from core.trusted.starting import replace
from kernel import canonical, encodings, members, merkle, note

PROOF_MAX: Final = 63


class NoMemory(Exception):
    """The key is there, and what it signed is not, or another notary holds it."""


class Notary:
    """One log's notary."""

    def __init__(self, *, log: note.Verifier, signer: Callable[[bytes], bytes], state: Path) -> None:
        self.log, self._signer, self._file = log, signer, state / "head"
        if not self._file.exists():
            raise NoMemory(f"{self._file} is missing: a notary that forgot would sign anything")
        self._held = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._held)
            raise NoMemory(f"another notary holds {state}") from None
        parts = self._file.read_text(encoding="ascii").split()
        if len(parts) != 2 or not parts[0].isdecimal():
            raise NoMemory(f"{self._file} is no `size base64-root`")
        self.size, self.root = int(parts[0]), encodings.from_base64_standard(parts[1])

    def close(self) -> None:
        """Let another notary have the memory."""
        os.close(self._held)

    def answer(self, message: Message, _uid: int = 0) -> Message:
        """`head`: what it signed last. `sign`: the signed note of a head that continues it, or why not."""
        match message.get("type") if members.is_version(message.get("v"), 1) else None:
            case "head":
                return {"v": 1, "type": "head", "size": self.size, "root": self.root.hex()}
            case "sign":
                return self._sign(message)
            case _:
                return _refused("NOTARY_UNKNOWN_QUESTION", self.size)

    def _sign(self, message: Message) -> Message:
        try:
            size, root, proof = _asked(message)
        except (KeyError, TypeError, ValueError):
            return _refused("NOTARY_BAD_QUESTION", self.size)
        if size < self.size:
            return _refused("NOTARY_LOG_CUT_BACK", self.size)
        try:
            merkle.verify_consistency(proof, size=self.size, root=self.root, new_size=size, new_root=root)
        except merkle.BadProof:
            return _refused("NOTARY_LOG_REWRITTEN", self.size)
        if size > self.size:
            replace(self._file, f"{size} {encodings.base64_standard(root)}\n".encode(), mode=0o644)
            self.size, self.root = size, root
        text = note.Checkpoint(self.log.name, size, root).text()
        return {"v": 1, "type": "signed", "note": note.sign(text, by=self.log, signer=self._signer)}


def begin(state: Path) -> None:
    """The memory of a notary that has signed nothing; never over one that has."""
    if not (state / "head").exists():
        empty = encodings.base64_standard(merkle.EMPTY_ROOT)
        replace(state / "head", f"0 {empty}\n".encode(), mode=0o644)


def _asked(message: Message) -> tuple[int, bytes, list[bytes]]:
    size, root, proof = message["size"], message["root"], message["proof"]
    if type(size) is not int or not isinstance(root, str) or not isinstance(proof, list):
        raise TypeError("a question is size, root and proof")
    if len(proof) > PROOF_MAX or size < 0:
        raise ValueError("too long, or negative")
    return size, bytes.fromhex(root), [bytes.fromhex(str(step)) for step in proof]


def _refused(code: str, seen: int) -> dict[str, canonical.Value]:
    return {"v": 1, "type": "refused", "code": code, "seen": seen}
