"""The markets that this venue lists, and which of their states may follow which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from engine_bridge.domain.instruments import Scale
from engine_bridge.domain.orders import Side

STOPS: Final = frozenset({"halted", "cancel_only"})
"""States into which one person may put a market at once. Trading starts again only by approval."""

FROZEN: Final = "cancel_only"
"""What a freeze makes of a market that trades: nothing is matched, and nobody is kept in."""

TRADES: Final = frozenset({"open", "post_only", "auction"})
"""States in which the engine takes orders."""

CALL: Final = timedelta(minutes=2)
"""How long a released market collects orders before they trade at one price."""

COLLAR_PERCENT: Final = 5
"""How far from the best price a market order may trade."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A market's terms."""

    number: int
    scale: Scale
    maker_fee_bps: int
    taker_fee_bps: int
    max_price_ticks: int
    max_qty_lots: int


class Known(NamedTuple):
    """What the engine says of a market that it lists."""

    state: str
    max_price_ticks: int
    max_qty_lots: int


LISTINGS: Final = (
    Listing(
        number=1,
        scale=Scale("BTC-USDT", base="BTC", quote="USDT", tick_units=100_000, lot_units=1_000),
        maker_fee_bps=8,
        taker_fee_bps=10,
        max_price_ticks=100_000_000,
        max_qty_lots=100_000_000,
    ),
)


class Band(NamedTuple):
    """How many millionths beyond the last trade's price, or beyond the reference until there is one, an order
    may pay; 0 is no band, and no reference.
    """

    ppm: int
    reference_ticks: int

    def narrows(self, before: Band) -> bool:
        """Whether every order that this lets in the other let in as well, wherever the last trade was. One
        that moves the reference of another band does not, unless there was no band at all.
        """
        if not before.ppm:
            return self.ppm > 0
        return 0 < self.ppm < before.ppm and not self.reference_ticks


PPM_IN_PERCENT: Final = 10_000
BAND_PPM_MAX: Final = 100 * PPM_IN_PERCENT


class BadPercent(ValueError):
    """No band: it has 0 to 100 per cent, with at most four decimals."""


def ppm(percent: str) -> int:
    """A band's width from the per cent that people write; BadPercent."""
    try:
        found = Decimal(percent.strip()) * PPM_IN_PERCENT
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found != int(found) or not 0 <= found <= BAND_PPM_MAX:
        raise BadPercent("a band has 0 to 100 per cent, with at most four decimals")
    return int(found)


def worst_price(side: Side, best_ticks: int, *, largest: int) -> int:
    """The furthest price at which a market order may still trade, given the best one it meets.

    Where nothing stands opposite it is the price at which nothing can match: the order then finds no
    liquidity, and not whatever somebody enters in the meantime.
    """
    if side is Side.BUY:
        return min(largest, best_ticks * (100 + COLLAR_PERCENT) // 100) if best_ticks else 1
    return max(1, -(-best_ticks * (100 - COLLAR_PERCENT) // 100)) if best_ticks else largest


def way_to_open(state: str, *, call_until: datetime | None, now: datetime) -> str | None:
    """What to tell the engine so that a market comes from `state` to open: a state, `run_auction`, or None
    while its auction collects. A market that was released goes through its call auction in any case.
    """
    if call_until is None:
        return "open"
    if state != "auction":
        return "auction"
    return "run_auction" if now >= call_until else None
