"""Witnesses of a signer's log, for tests: each keeps what it saw, and cosigns only what appends to it."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel import cosignature, merkle, note
from tests.vault import Message


class Asked(Protocol):
    """A signer that can be asked, in this process or another."""

    def ask(self, message: Message) -> Message: ...


class Fork(Exception):
    """The log does not append to what this witness saw."""


class Watcher:
    """One witness of one signer."""

    def __init__(self, name: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32))
        self.cosigner = cosignature.Cosigner(name, self._key.public_key().public_bytes_raw())
        self.size, self.root = 0, merkle.EMPTY_ROOT

    def line(self, desk: Asked, signed: Message, at: float) -> str:
        """Its cosignature on the desk's head."""
        text = note.open_note(signed["note"], by=note.Verifier.parse(signed["key"]))
        head = note.Checkpoint.parse(text)
        answer = desk.ask({"v": 1, "type": "log_proof", "old": self.size, "size": head.size})
        if answer["type"] == "refused":
            raise Fork(str(answer["detail"]))
        proof = [bytes.fromhex(item) for item in answer["hashes"]]
        try:
            merkle.verify_consistency(
                proof, size=self.size, root=self.root, new_size=head.size, new_root=head.root
            )
        except merkle.BadProof as error:
            raise Fork(str(error)) from None
        self.size, self.root = head.size, head.root
        return cosignature.cosign(text, by=self.cosigner, signer=self._key.sign, at=int(at))


WATCHERS = ("north", "south", "west")


def section(**changes: object) -> Message:
    """The registry's part: two of three, within an hour, for hot-1."""
    keys = [str(Watcher(name).cosigner) for name in WATCHERS]
    return {"keys": keys, "quorum": 2, "age_s_max": 3600, "tokens": ["hot-1"], **changes}


def cosigned(desk: Asked, *watchers: Watcher, at: float) -> Message:
    """The signer's present head with the cosignatures of these witnesses, as a collector brings it back."""
    signed = desk.ask({"v": 1, "type": "log_head"})
    lines = [watcher.line(desk, signed, at) for watcher in watchers]
    return {"v": 1, "type": "log_cosigned", "note": signed["note"] + "".join(line + "\n" for line in lines)}
