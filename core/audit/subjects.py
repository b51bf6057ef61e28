"""Personal data in events: sealed per person, so that one person can be erased and the log still verifies.

An event carries the sealed text, and the tree is built over that. The person's key lies in a table of its
own, wrapped by FIELD_KEY. Destroying the key makes every such text of that person unreadable, in the log, in
every export and behind every witness, while each hash stays what it was. (A backup of the table holds the key
until the backup is gone.)
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from core import action as actions
from core.audit.models import AuditSubject
from kernel import encodings

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_LABEL: Final = b"countersign/audit/personal/v1|"


def personal(subject: str, text: str) -> dict[str, str]:
    """The text as an event may carry it; `subject` names the person, e.g. "customers.customer/0192…".

    For a person who was erased nothing is sealed any more: the event says only that.
    """
    actions.current()
    fresh = secrets.token_bytes(_KEY_BYTES)
    AuditSubject.objects.bulk_create(
        [AuditSubject(subject=subject, wrapped=_sealed(settings.FIELD_KEY, fresh, subject))],
        ignore_conflicts=True,
    )
    key = _key(subject)
    if key is None:
        return {"subject": subject, "sealed": ""}
    return {"subject": subject, "sealed": encodings.base64url(_sealed(key, text.encode(), subject))}


def reveal(value: Mapping[str, Any]) -> str | None:
    """The text of a value that `personal` made; None once the person was erased. Record the read first."""
    subject, sealed = str(value["subject"]), str(value["sealed"])
    key = _key(subject)
    return _opened(key, encodings.from_base64url(sealed), subject).decode() if key and sealed else None


def is_personal(value: object) -> bool:
    """Whether an event's value is a sealed text."""
    return isinstance(value, Mapping) and value.keys() == {"subject", "sealed"}


def destroy(subject: str, *, now: datetime) -> bool:
    """Destroy the person's key, inside the open action; whether there was one to destroy."""
    actions.current()
    rows = AuditSubject.objects.filter(subject=subject, destroyed_at=None)
    return rows.update(wrapped=b"", destroyed_at=now) == 1


def _key(subject: str) -> bytes | None:
    row = AuditSubject.objects.filter(subject=subject).first()
    if row is None or row.destroyed_at is not None:
        return None
    return _opened(settings.FIELD_KEY, bytes(row.wrapped), subject)


def _sealed(key: bytes, plain: bytes, subject: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, _LABEL + subject.encode())


def _opened(key: bytes, sealed: bytes, subject: str) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _LABEL + subject.encode())
