"""The decoder's key: Ed25519, made here, kept in a file under a passphrase; signers pin its public half."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class NoKey(Exception):
    """The file holds no key of a decoder, or the passphrase is not its."""


def make(path: Path, passphrase: str) -> bytes:
    """Make a key in a new file that only its owner reads; its public half. FileExistsError where one is."""
    if not passphrase:
        raise NoKey("a key without a passphrase is not kept")
    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return key.public_key().public_bytes_raw()


def load(path: Path, passphrase: str) -> Ed25519PrivateKey:
    """The key in the file; NoKey."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=passphrase.encode())
    except (OSError, ValueError, TypeError) as error:
        raise NoKey(f"{path}: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NoKey(f"{path} holds another kind of key")
    return key
