"""Breaking the glass: one person asks with a sealed key, another opens with another, it ends by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

LASTS: Final = timedelta(minutes=30)
SECOND_WITHIN: Final = timedelta(minutes=10)
"""How long the first person's asking waits for the second."""
APART: Final = timedelta(hours=12)
"""How long the same two people open no other: a night, in which whoever was told of the first can take away
the keys that are left. What they stopped stays stopped, and each of them opens another with anybody else.
"""


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
