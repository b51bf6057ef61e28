"""Sealing what must not lie in the clear: provider documents, names, tokens and webhook secrets.

AES-256-GCM under FIELD_KEY. The place (table and column) and the row are authenticated, so a sealed value
copied to another row or column does not open. One key covers all subjects: destroying one person's data by
destroying one key is not possible yet.
"""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


class Place(StrEnum):
    """The columns that hold sealed values."""

    SECRETS = "kyc_webhook_endpoint.secrets"
    DELIVERY = "kyc_webhook_delivery.body"
    SNAPSHOT = "kyc_provider_snapshot.body"
    PERSON = "kyc_profile.person"
    COMMENT = "kyc_verification.comment"
    TOKEN = "kyc_provider_applicant.sdk_token"  # noqa: S105 - the name of a column
    NOTE = "kyc_case_event.note"


class UnknownSeal(ValueError):
    """The value was sealed in a way that this code does not know."""


def seal(plain: bytes, *, place: Place, row: UUID) -> bytes:
    """The sealed bytes: version, nonce, ciphertext and tag."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return VERSION + nonce + AESGCM(settings.FIELD_KEY).encrypt(nonce, plain, _bound_to(place, row))


def unseal(sealed: bytes | memoryview, *, place: Place, row: UUID) -> bytes:
    """What was sealed for this place and row; InvalidTag where it was changed or moved."""
    whole = bytes(sealed)
    if whole[:1] != VERSION:
        raise UnknownSeal(place)
    nonce, cipher = whole[1 : 1 + _NONCE_BYTES], whole[1 + _NONCE_BYTES :]
    return AESGCM(settings.FIELD_KEY).decrypt(nonce, cipher, _bound_to(place, row))


def _bound_to(place: Place, row: UUID) -> bytes:
    return f"countersign/kyc/v1|{place}|{row}".encode()
