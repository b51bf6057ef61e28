"""Registrations: what a new passkey for signing is made over, and by what people know its key again.

The challenge commits to one deployment, one officer and one invitation (nonce), so what an authenticator made
for one is nobody else's registration and no second one. The fingerprint is for people who compare by eye and
voice: 128 bits, so that nobody finds another key that has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from kernel import canonical

DOMAIN_TAG: Final = b"countersign/registration/v1"
FINGERPRINT_TAG: Final = b"countersign/passkey/v1"
FINGERPRINT_BYTES: Final = 16


def challenge(*, deployment: str, officer: str, nonce: bytes) -> bytes:
    """The 32 bytes over which the authenticator makes the passkey; `officer` is their id as text."""
    said = canonical.encode({"deployment": deployment, "nonce": nonce.hex(), "officer": officer})
    return hashlib.sha256(DOMAIN_TAG + b"\x00" + said).digest()


def fingerprint(public_key: bytes) -> str:
    """32 hex digits for an uncompressed point: the same on every screen that shows this key."""
    return hashlib.sha256(FINGERPRINT_TAG + b"\x00" + public_key).digest()[:FINGERPRINT_BYTES].hex()


def digest_of(keys: Sequence[str]) -> str:
    """One name for a registry's passkeys, as its `keys` say them: SHA-256 of the canonical list, in hex."""
    return canonical.digest(canonical.encode(list(keys))).hex()
