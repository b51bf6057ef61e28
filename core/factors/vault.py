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
_PLACE: Final = b"factors_code.sealed_secret/"


def seal(secret: bytes, *, row: UUID) -> bytes:
    """The sealed bytes: version, nonce, ciphertext and tag."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return VERSION + nonce + AESGCM(settings.FIELD_KEY).encrypt(nonce, secret, _PLACE + row.bytes)


def unseal(sealed: bytes | memoryview, *, row: UUID) -> bytes:
    """What was sealed for this row; InvalidTag where it was changed or moved."""
    whole = bytes(sealed)
    if whole[:1] != VERSION:
        raise ValueError("sealed in a way that this code does not know")
    nonce, cipher = whole[1 : 1 + _NONCE_BYTES], whole[1 + _NONCE_BYTES :]
    return AESGCM(settings.FIELD_KEY).decrypt(nonce, cipher, _PLACE + row.bytes)
