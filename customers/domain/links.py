"""The link by which a customer gets a new password: who made it, for how long it is good, what follows.

Nothing of it is stored but the moment at which it was asked for. Its secret part is a MAC over that moment,
the customer and the password that it replaces: so a newer link ends an older one, a new password ends every
link, and whoever reads the database, but does not have FIELD_KEY, can make none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from customers.domain.secrets import derived

LIFE: Final = timedelta(minutes=30)
ASKED_EVERY: Final = timedelta(minutes=10)
"""Whoever knows the address can have no more mail sent, nor end a link that was just sent."""

HELD_FOR: Final = timedelta(hours=24)
"""Nothing is withdrawn for so long after it: whoever reads another's mail is in a hurry, its owner is not."""

_LABEL: Final = b"countersign/password-link/v1"


def was_just_asked(asked_at: datetime | None, *, now: datetime) -> bool:
    """Whether a link was sent so lately that no other is. One from the future, of a clock that was ahead, is
    none, and in nobody's way.
    """
    return asked_at is not None and now - ASKED_EVERY < asked_at <= now


def held_until(standing: datetime | None, span: timedelta, *, now: datetime) -> datetime:
    """Until when nothing is withdrawn after this too: a hold never becomes shorter by another."""
    return max(now + span, standing or now)


def text(customer: UUID, *, asked_at: datetime, password: str, field_key: bytes) -> str:
    """The link's own part: the customer, a dot, and the MAC."""
    said = b"\0".join((customer.bytes, asked_at.isoformat().encode(), password.encode()))
    made = hmac.new(derived(field_key, _LABEL), said, hashlib.sha256).digest()
    return f"{customer.hex}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def customer_of(link: str) -> UUID | None:
    """Whose it says it is."""
    try:
        return UUID(hex=link.partition(".")[0])
    except ValueError:
        return None


def is_in_force(
    link: str,
    customer: UUID,
    *,
    asked_at: datetime | None,
    password: str,
    field_key: bytes,
    now: datetime,
) -> bool:
    """Whether it is the newest one, by us, and not too old."""
    if asked_at is None or not asked_at <= now < asked_at + LIFE:
        return False
    ours = text(customer, asked_at=asked_at, password=password, field_key=field_key)
    return hmac.compare_digest(ours.encode(), link.encode())
