"""Sealing what must not lie in the clear: provider documents, names, comments, tokens and webhook secrets.

What is about a person is sealed to that person's key and opened by the vault alone, under an event of the
audit log (`core.audit.subjects`). What is no person's (webhook secrets, tokens, deliveries whose sender is
not known yet) is sealed under FIELD_KEY, which the process must hold to do its work. The place (table and
column) and the row are bound in either way, so a sealed value copied elsewhere does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from core.audit import subjects
from core.audit.models import AuditEvent

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


PERSONAL: Final = frozenset({Place.SNAPSHOT, Place.PERSON, Place.COMMENT, Place.NOTE})
"""What only the vault opens."""


def seal_for(customer: UUID, plain: bytes, *, place: Place, row: UUID) -> bytes:
    """Sealed for that customer, inside the open action; empty once the customer was erased."""
    return subjects.seal(_person(customer), plain, place=f"{place}|{row}")


def open_for(
    customer: UUID, items: Sequence[tuple[Place, UUID, bytes]], *, read: AuditEvent
) -> list[bytes] | None:
    """What was sealed for the customer at these places, for a read on record; None once erased. Refused."""
    pairs = [(f"{place}|{row}", bytes(sealed)) for place, row, sealed in items]
    return subjects.opened(_person(customer), pairs, read=read)


def _person(customer: UUID) -> str:
    return f"customers.customer/{customer}"


def seal(plain: bytes, *, place: Place, row: UUID) -> bytes:
    """The sealed bytes: version, nonce, ciphertext and tag."""
    assert place not in PERSONAL, "personal data is sealed for its person"
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
