"""The life of an authenticator: worth something only between a second person's consent and its end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """A passkey proves a person on our page; a code proves them to whoever it is typed into. A sealed key is
    a passkey that lies in a safe, and proves only that somebody opened it.
    """

    PASSKEY = "passkey"
    CODE = "code"
    SEALED = "sealed"

    @property
    def label(self) -> str:
        """As people say it."""
        return {"passkey": "passkey", "code": "authenticator app", "sealed": "sealed key"}[self.value]


class State(StrEnum):
    """`draft` has not been shown to work yet; `pending` waits for the second person."""

    DRAFT = "draft"
    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"


# The trigger factors_factor_moves holds the same table; a test compares the two.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.DRAFT: frozenset({State.PENDING, State.ENDED}),
    State.PENDING: frozenset({State.ACTIVE, State.ENDED}),
    State.ACTIVE: frozenset({State.ENDED}),
    State.ENDED: frozenset(),
}
