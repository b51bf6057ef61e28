"""How long the journal's flushes took: the engine's buckets as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEIGHT: Final = 100
STEP: Final = 10
"""From one bar to the next."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Flushes that took longer than the bar before and up to `within_us`; None = longer than every bound.

    `x`, `y` and `height` draw it in a box that is HEIGHT high; the tallest fills it, and none that counts
    anything vanishes.
    """

    within_us: int | None
    count: int
    x: int
    height: int

    @property
    def y(self) -> int:
        return HEIGHT - self.height


@dataclass(frozen=True, slots=True)
class Flushes:
    """`p50_us` and `p99_us` are upper bounds: that of the bucket in which the share is reached, None where
    it is the last one.
    """

    bars: tuple[Bar, ...]
    count: int
    p50_us: int | None
    p99_us: int | None

    @property
    def width(self) -> int:
        return STEP * len(self.bars)


def flushes(buckets: Sequence[int]) -> Flushes | None:
    """The picture of buckets that double: number n counts up to 2^n microseconds, the last one all others.

    Empty ones at both ends are left out. None where nothing was flushed.
    """
    count = sum(buckets)
    if not count:
        return None
    taken = [at for at, number in enumerate(buckets) if number]
    tallest = max(buckets)
    bars = tuple(
        Bar(_bound(at, buckets), number, STEP * place, -(-number * HEIGHT // tallest))
        for place, (at, number) in enumerate((at, buckets[at]) for at in range(taken[0], taken[-1] + 1))
    )
    return Flushes(bars, count, _share(50, buckets, count), _share(99, buckets, count))


def _bound(at: int, buckets: Sequence[int]) -> int | None:
    return None if at == len(buckets) - 1 else 1 << at


def _share(percent: int, buckets: Sequence[int], count: int) -> int | None:
    reached = 0
    for at, number in enumerate(buckets):
        reached += number
        if reached * 100 >= count * percent:
            return _bound(at, buckets)
    raise AssertionError("all of them are in some bucket")
