"""How the coins are spread over the wallets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kernel.money import Amount

WHOLE_BPS: Final = 10_000
HOT_BPS_MIN: Final = 200
HOT_BPS_MAX: Final = 500
"""The band of what may be hot of all coins: never filled up above the upper one, nor while there is more than
the lower one, and swept above the upper one, whatever marks treasury has set.
"""


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


def in_band(marks: Targets, whole: Amount) -> Targets:
    """The marks that count where `whole` is all that we hold: treasury's own, or the band's where those are
    lower. So a target in units keeps no more online than the band once there are fewer coins, and whoever
    writes another target into a row has no more proposed than the band.
    """
    units = max(whole.units, 0)
    return Targets(
        refill_below=min(marks.refill_below, _share(units, HOT_BPS_MIN, whole.asset)),
        target=min(marks.target, _share(units, HOT_BPS_MAX, whole.asset)),
    )


@dataclass(frozen=True, slots=True)
class Overflow:
    """Above what a hot wallet is swept, how far down, and the mark below which it is filled up again."""

    above: Amount
    back_to: Amount
    refill_below: Amount


def overflow(marks: Targets, whole: Amount) -> Overflow:
    """As far above the target as the mark for refills is below it, and no higher than the band.

    It goes back to the target, but no nearer to the upper mark than half the way from the lower one. So a
    target at the band's border does not have each deposit swept, and neither act makes the other one due.
    """
    inside = in_band(marks, whole)
    low, target = inside.refill_below, inside.target
    highest = _share(max(whole.units, 0), HOT_BPS_MAX, whole.asset)
    above = min(target + target - low, highest)
    middle = Amount((low.units + above.units) // 2, whole.asset)
    return Overflow(above=above, back_to=min(target, middle), refill_below=low)


def _share(units: int, bps: int, asset: str) -> Amount:
    return Amount(units * bps // WHOLE_BPS, asset)
