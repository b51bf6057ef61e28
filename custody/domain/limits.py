"""How much a customer may withdraw in any 24 hours, by tier, in US cents. What is not known is not
allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kernel import money
from kernel.money import Amount

WINDOW: Final = timedelta(hours=24)
PRICE_AGE_MAX: Final = timedelta(minutes=5)
PRICE_AHEAD_MAX: Final = timedelta(seconds=30)
"""A quote may be this far in the future, for clocks that differ; one further ahead is not believed."""

VIEW_ONLY_TIER: Final = 0
INSTITUTION_TIER: Final = 4
_DOLLAR: Final = 100
LIMITS: Final[Mapping[int, int | None]] = {
    VIEW_ONLY_TIER: 0,
    1: 500 * _DOLLAR,
    2: 10_000 * _DOLLAR,
    3: 100_000 * _DOLLAR,
    INSTITUTION_TIER: None,
}
"""US cents per window; None means that there is no limit, and stands for institutions only."""


class OverLimit(ValueError):
    """Base of the reasons why a tier does not allow a withdrawal."""


class ViewOnly(OverLimit):
    """This tier withdraws nothing."""


class LimitReached(OverLimit):
    """The window has no room for this much; `left` is what it has room for, in cents."""

    def __init__(self, limit: int, left: int) -> None:
        super().__init__(f"{left} of {limit} cents are left")
        self.limit, self.left = limit, left


class NoPrice(ValueError):
    """Base of the reasons why an amount cannot be valued."""


class PriceMissing(NoPrice):
    """There is no quote."""


class PriceStale(NoPrice):
    """The quote is too old, or from the future."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What one whole coin costs, in US cents."""

    asset: str
    cents: int
    quoted_at: datetime


def is_news(quote: Quote, last: Quote | None) -> bool:
    """Whether a quote is worth storing: another price, or the same one when the last word on it grows old."""
    return last is None or quote.cents != last.cents or quote.quoted_at >= last.quoted_at + PRICE_AGE_MAX / 2


def limit_of(tier: int) -> int | None:
    """The window's limit in cents, None for no limit; an unknown tier withdraws nothing."""
    return LIMITS.get(tier, 0)


def value(amount: Amount, quote: Quote | None, *, now: datetime) -> int:
    """The amount in cents, rounded up; PriceMissing or PriceStale where nobody can say."""
    if quote is None or quote.asset != amount.asset or quote.cents <= 0:
        raise PriceMissing(amount.asset)
    if not now - PRICE_AGE_MAX <= quote.quoted_at <= now + PRICE_AHEAD_MAX:
        raise PriceStale(f"{amount.asset} was quoted at {quote.quoted_at}")
    unit: int = 10 ** money.asset(amount.asset).decimals
    return -(-amount.units * quote.cents // unit)


def check(*, tier: int, used: int, asked: int) -> None:
    """ViewOnly or LimitReached where `asked` cents do not fit beside the `used` ones."""
    limit = limit_of(tier)
    if limit is None:
        return
    if limit <= 0:
        raise ViewOnly(f"tier {tier}")
    if asked < 0 or used + asked > limit:
        raise LimitReached(limit, max(0, limit - used))
