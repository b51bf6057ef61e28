"""The life of an adjustment: a correction of a customer's balance that two people agree on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """An approved adjustment is posted in the same moment."""

    REQUESTED = "requested"
    POSTED = "posted"
    REJECTED = "rejected"
    EXPIRED = "expired"


NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.REQUESTED: frozenset({State.POSTED, State.REJECTED, State.EXPIRED}),
    State.POSTED: frozenset(),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
}

APPROVE_WITHIN: Final = timedelta(hours=24)
EXECUTE_WITHIN: Final = timedelta(hours=1)
