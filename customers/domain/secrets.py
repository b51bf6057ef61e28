"""Keeping API keys' secrets: encrypted where they are needed back, hashed where they are not.

Both are bound to the row they belong to, so that a value copied to another row is worth nothing there.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES: Final = 12
_SECRET_LABEL: Final = b"countersign/api-key/secret/v1"
_PASSPHRASE_LABEL: Final = b"countersign/api-key/passphrase/v1"


class Unreadable(ValueError):
    """The stored secret is not one that this key encrypted for this row."""


def seal(secret: bytes, *, field_key: bytes, row: UUID, nonce: bytes) -> bytes:
    """The secret, encrypted for one row; `nonce` is 12 fresh random bytes, kept in front."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError("a nonce is 12 bytes")
    return nonce + AESGCM(derived(field_key, _SECRET_LABEL)).encrypt(nonce, secret, _SECRET_LABEL + row.bytes)


def unseal(sealed: bytes, *, field_key: bytes, row: UUID) -> bytes:
    """The secret again; Unreadable where key, row or bytes differ."""
    nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return AESGCM(derived(field_key, _SECRET_LABEL)).decrypt(nonce, body, _SECRET_LABEL + row.bytes)
    except (InvalidTag, ValueError):
        raise Unreadable("the API key's secret cannot be read back") from None


def hash_passphrase(passphrase: str, *, field_key: bytes, row: UUID) -> bytes:
    """A keyed hash for one row.

    Quick on purpose: it is checked with every API call, beside an HMAC by a random secret. Whoever steals the
    table alone cannot even begin to guess, because the hash's key is not in it.
    """
    key = derived(field_key, _PASSPHRASE_LABEL)
    return hmac.new(key, row.bytes + passphrase.encode(), hashlib.sha256).digest()


def derived(field_key: bytes, label: bytes) -> bytes:
    """A key for one purpose only."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(field_key)
