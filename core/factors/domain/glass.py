"""Breaking the glass: one person asks with a sealed key, another opens with another, it ends by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

LASTS: Final = timedelta(minutes=30)
SECOND_WITHIN: Final = timedelta(minutes=10)
"""How long the first person's asking waits for the second."""


class State(StrEnum):
    """`open` counts until its half hour is over, whatever the row says afterwards."""

    ASKED = "asked"
    OPEN = "open"
    ENDED = "ended"


# The trigger factors_glass_moves holds the same table; a test compares the two.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.ASKED: frozenset({State.OPEN, State.ENDED}),
    State.OPEN: frozenset({State.ENDED}),
    State.ENDED: frozenset(),
}
