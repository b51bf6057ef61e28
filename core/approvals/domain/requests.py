"""The life of an approval request."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """`consumed` is the end of a request that was acted upon; it happens once."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    CONSUMED = "consumed"


# The trigger approvals_request_moves holds the same table; a test compares the two.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.OPEN: frozenset({State.APPROVED, State.REJECTED, State.WITHDRAWN, State.EXPIRED}),
    State.APPROVED: frozenset({State.CONSUMED, State.WITHDRAWN, State.EXPIRED}),
    State.REJECTED: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.EXPIRED: frozenset(),
    State.CONSUMED: frozenset(),
}
