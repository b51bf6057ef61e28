"""How the coins are spread over the wallets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kernel.money import Amount

WHOLE_BPS: Final = 10_000


def shares(totals: Mapping[str, int]) -> dict[str, int]:
    """Each wallet's share in basis points, rounded down; the largest takes what rounding leaves."""
    whole = sum(totals.values())
    if whole <= 0:
        return dict.fromkeys(totals, 0)
    found = {name: units * WHOLE_BPS // whole for name, units in totals.items()}
    largest = max(sorted(totals), key=lambda name: totals[name])
    found[largest] += WHOLE_BPS - sum(found.values())
    return found


class BadTargets(ValueError):
    """The target lies below the threshold, or they are of two assets."""


@dataclass(frozen=True, slots=True)
class Targets:
    """When a hot wallet is filled up, and how far."""

    refill_below: Amount
    target: Amount

    def __post_init__(self) -> None:
        if self.refill_below.units < 0 or self.target < self.refill_below:
            raise BadTargets(f"fill up to {self.target} below {self.refill_below}")
