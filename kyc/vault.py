"""Sealing what must not lie in the clear: provider documents, names, comments, tokens and webhook secrets.

What is about a person is sealed to that person's key and opened by the vault alone, under an event of the
audit log (`core.audit.subjects`); a delivery, until it is known about whom it is, to a key of its own, with
the vault for the workers alone. So the door at which deliveries arrive can write them and not read them. What
is no person's lies under a key of the processes that need it: SDK tokens under FIELD_KEY, webhook secrets
under HOOKS_KEY, which the hooks door holds and the console and the workers do not. The place (table and
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


class NoKeyHere(RuntimeError):
    """This process is not one that opens or seals this place."""


class UnknownSeal(ValueError):
    """The value was sealed in a way that this code does not know."""


PERSONAL: Final = frozenset({Place.DELIVERY, Place.SNAPSHOT, Place.PERSON, Place.COMMENT, Place.NOTE})
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


def seal_delivery(plain: bytes, *, row: UUID) -> tuple[bytes, bytes]:
    """A delivery about somebody not known yet, sealed to a key of its own, and that key."""
    return subjects.seal_alone(delivery_name(row), plain, place=f"{Place.DELIVERY}|{row}")


def open_delivery(sealed: bytes, key: bytes, *, row: UUID, read: AuditEvent) -> bytes:
    """What was delivered, for a read on record, in a worker. Refused."""
    return subjects.opened_alone(delivery_name(row), key, (f"{Place.DELIVERY}|{row}", sealed), read=read)


def delivery_name(row: UUID) -> str:
    """A delivery's name in the log, by which the vault knows it too."""
    return f"kyc.webhookdelivery/{row}"


def _person(customer: UUID) -> str:
    return f"customers.customer/{customer}"


def seal(plain: bytes, *, place: Place, row: UUID) -> bytes:
    """The sealed bytes: version, nonce, ciphertext and tag."""
    assert place not in PERSONAL, "personal data is sealed for its person"
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return VERSION + nonce + AESGCM(_key_of(place)).encrypt(nonce, plain, _bound_to(place, row))


def unseal(sealed: bytes | memoryview, *, place: Place, row: UUID) -> bytes:
    """What was sealed for this place and row; InvalidTag where it was changed or moved."""
    whole = bytes(sealed)
    if whole[:1] != VERSION:
        raise UnknownSeal(place)
    nonce, cipher = whole[1 : 1 + _NONCE_BYTES], whole[1 + _NONCE_BYTES :]
    return AESGCM(_key_of(place)).decrypt(nonce, cipher, _bound_to(place, row))


def _key_of(place: Place) -> bytes:
    key: bytes = settings.HOOKS_KEY if place is Place.SECRETS else settings.FIELD_KEY
    if not key:
        raise NoKeyHere(f"{place}: this process has no HOOKS_KEY; docs/configuration.md says who has it")
    return key


def _bound_to(place: Place, row: UUID) -> bytes:
    return f"countersign/kyc/v1|{place}|{row}".encode()
