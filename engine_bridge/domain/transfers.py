"""A transfer between funding and trading: two steps, one outcome.

Inwards the ledger moves the money into transit first and the engine takes it up; outwards the engine gives
it up first and the ledger follows. The engine keeps the first outcome of a transfer's id, refusals
included, so sending it again can only repeat that outcome; and its event, applied or rejected, is what
closes the transfer here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final


class TransferState(StrEnum):
    PENDING = "pending"
    SETTLED = "settled"
    REFUSED = "refused"


NEXT: Final[Mapping[TransferState, frozenset[TransferState]]] = {
    TransferState.PENDING: frozenset({TransferState.SETTLED, TransferState.REFUSED}),
    TransferState.SETTLED: frozenset(),
    TransferState.REFUSED: frozenset(),
}

ACKNOWLEDGED_AFTER: Final = timedelta(days=1)
"""When the engine may forget a transfer that was closed here. Far longer than any sender could be asleep
between reading "pending" and sending: a forgotten id sent again would be applied again."""


class IllegalMove(ValueError):
    """The transfer has another outcome already."""


def move(state: TransferState, to: TransferState) -> TransferState:
    """The new state; IllegalMove where the table has none."""
    if to not in NEXT[state]:
        raise IllegalMove(f"{state} to {to}")
    return to
