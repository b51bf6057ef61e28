"""Sealing the secrets of authenticator apps.

AES-256-GCM under FIELD_KEY, bound to the row: a sealed secret copied to another person's row does not open,
and whoever reads the database alone can compute no code.
"""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
STAFF: Final = "factors_code.sealed_secret"


def seal(secret: bytes, *, row: UUID, place: str = STAFF) -> bytes:
    """The sealed bytes: version, nonce, ciphertext and tag. `place` is the table and column."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return VERSION + nonce + AESGCM(settings.FIELD_KEY).encrypt(nonce, secret, _bound(place, row))


def unseal(sealed: bytes | memoryview, *, row: UUID, place: str = STAFF) -> bytes:
    """What was sealed for this row; InvalidTag where it was changed or moved."""
    whole = bytes(sealed)
    if whole[:1] != VERSION:
        raise ValueError("sealed in a way that this code does not know")
    nonce, cipher = whole[1 : 1 + _NONCE_BYTES], whole[1 + _NONCE_BYTES :]
    return AESGCM(settings.FIELD_KEY).decrypt(nonce, cipher, _bound(place, row))


def _bound(place: str, row: UUID) -> bytes:
    return f"{place}/".encode() + row.bytes
