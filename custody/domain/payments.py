"""The part of the road that withdrawals and refills share: what happens to a transaction of ours."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """States that both tables have, under the same names."""

    BUILT = "built"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    CONFIRMED = "confirmed"
    CONFLICTED = "conflicted"
    SETTLED = "settled"


def is_hopeless(*, refused: Collection[str], signed: Collection[str], threshold: int, tokens: int) -> bool:
    """Whether too few signers are left that could still make the signatures complete."""
    return tokens - len(set(refused) - set(signed)) < threshold


SENDABLE: Final = frozenset({Step.SIGNED, Step.BROADCAST, Step.CONFLICTED})
"""A rival may itself be reorganised away, so a conflicted payment is still offered to the node."""
LATE: Final = frozenset({Step.SIGNED, Step.BROADCAST})
CONFIRMED_WITHIN: Final = timedelta(days=1)
"""A payment of these states that no block took so long after its signatures is shown to people."""
TAKEN_WITHIN: Final = timedelta(hours=1)
"""A version with a higher fee that no node took so long after it was asked for is shown to people."""
