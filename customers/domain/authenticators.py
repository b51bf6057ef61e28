"""A customer's second factor: an authenticator app's life, and the codes on paper that stand in for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID

from customers.domain.secrets import derived

SECRET_BYTES: Final = 20
DRAFT_FOR: Final = timedelta(minutes=10)
HELD_AFTER_CHANGE: Final = timedelta(hours=24)
"""Nothing is withdrawn for so long after another authenticator took the place of one, or none did."""

HELD_AFTER_LOSS: Final = timedelta(days=7)
"""The same where mail alone brought it about: another's mail is read for a day, hardly for a week unseen."""

CLOCKS_APART_MAX: Final = timedelta(minutes=2)
"""A hold that ends later than the longest and this was set under a clock that was ahead."""

RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 10
_RECOVERY_LENGTH: Final = 16
_GROUP: Final = 4
_LABEL: Final = b"countersign/recovery-code/v1"


class State(StrEnum):
    """`draft` has not been shown to work yet."""

    DRAFT = "draft"
    ACTIVE = "active"
    ENDED = "ended"


# The trigger customers_authenticator_moves holds the same table; a test compares the two.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.DRAFT: frozenset({State.ACTIVE, State.ENDED}),
    State.ACTIVE: frozenset({State.ENDED}),
    State.ENDED: frozenset(),
}


def base32(secret: bytes) -> str:
    """The secret as apps take it when it is typed."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, *, account: str, issuer: str) -> str:
    """The secret as apps take it from a QR code."""
    query = urlencode({"secret": base32(secret), "issuer": issuer})
    return f"otpauth://totp/{quote(f'{issuer}:{account}', safe='')}?{query}"


def recovery_code(chance: bytes) -> str:
    """A code for paper, of 10 random bytes: too many to be guessed at any pace."""
    if len(chance) != RECOVERY_BYTES:
        raise ValueError("a recovery code is made of 10 bytes")
    text = base64.b32encode(chance).decode()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def plain_recovery_code(typed: str) -> str | None:
    """The code as it is hashed, once; None where the text is none, such as the digits of an app."""
    text = "".join(typed.split()).replace("-", "").upper()
    alphabet = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    return text if len(text) == _RECOVERY_LENGTH and alphabet.issuperset(text) else None


def hash_recovery_code(plain: str, *, field_key: bytes, authenticator: UUID) -> bytes:
    """What is kept of it: a keyed hash for one authenticator."""
    key = derived(field_key, _LABEL)
    return hmac.new(key, authenticator.bytes + plain.encode(), hashlib.sha256).digest()
