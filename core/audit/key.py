"""The log's signing key: an Ed25519 key in a PEM file that only the sealer's user can read."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit.sealing import Seal
from kernel import note


class NoLogKey(Exception):
    """The file is missing or holds no Ed25519 key."""


def load(path: Path | None, *, origin: str) -> tuple[note.Verifier, Seal]:
    """What checks the log's notes, and what signs them."""
    if path is None or not path.is_file():
        raise NoLogKey(f"AUDIT_KEY_FILE names no readable file ({path}); nothing can be sealed")
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise NoLogKey(f"{path} holds no Ed25519 key")
    verifier = note.Verifier(origin, key.public_key().public_bytes_raw())

    def seal(size: int, root: bytes) -> str:
        return note.sign(note.Checkpoint(origin, size, root).text(), by=verifier, signer=key.sign)

    return verifier, seal
