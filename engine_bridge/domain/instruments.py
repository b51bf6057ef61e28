"""What is traded, and the scales between the decimals people write and the integers the engine matches.

A price is quote per one base coin; it moves in ticks. A size is base; it moves in lots. One tick times one
lot is a whole number of the quote's smallest units, so a product of the engine's integers is money without
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kernel.money import Amount, BadAmount, asset

LARGEST_TICKS: Final = 2**53 - 1
LARGEST_LOTS: Final = 2**53 - 1
"""Far below the engine's 64 bits, so that the product of any two fits its 128."""


class BadScale(ValueError):
    """The instrument's tick and lot do not give whole units of its quote asset."""


class NotOnGrid(ValueError):
    """The decimal is no multiple of the tick or the lot; `step` is the multiple that was missed."""

    def __init__(self, text: str, step: str) -> None:
        super().__init__(f"{text} is not a multiple of {step}")
        self.step = step


class OutOfRange(ValueError):
    """The decimal is zero, or larger than the venue can carry."""


@dataclass(frozen=True, slots=True)
class Scale:
    """One market's grid: `tick_units` quote units per price step, `lot_units` base units per size step."""

    symbol: str
    base: str
    quote: str
    tick_units: int
    lot_units: int

    def __post_init__(self) -> None:
        if self.tick_units <= 0 or self.lot_units <= 0:
            raise BadScale(f"{self.symbol}: tick and lot must be positive")
        if (self.tick_units * self.lot_units) % self._coin:
            raise BadScale(f"{self.symbol}: one tick times one lot is no whole number of {self.quote} units")

    @property
    def _coin(self) -> int:
        return int(10 ** asset(self.base).decimals)

    @property
    def ticklot_units(self) -> int:
        """Quote units in one tick times one lot."""
        return self.tick_units * self.lot_units // self._coin

    def ticks(self, text: str) -> int:
        """A price as a whole number of ticks."""
        return _steps(text, self.quote, self.tick_units, LARGEST_TICKS)

    def lots(self, text: str) -> int:
        """A size in base as a whole number of lots."""
        return _steps(text, self.base, self.lot_units, LARGEST_LOTS)

    def budget(self, text: str) -> int:
        """A quote amount as ticks times lots, rounded down: what a market order by cost may spend."""
        units = Amount.parse(text, self.quote).units
        ticklots = units // self.ticklot_units
        if not 0 < ticklots <= LARGEST_LOTS:
            raise OutOfRange(text)
        return ticklots

    def price(self, ticks: int) -> str:
        """Ticks as the plain decimal that people read."""
        return str(Amount(ticks * self.tick_units, self.quote))

    def size(self, lots: int) -> str:
        """Lots as the plain decimal that people read."""
        return str(Amount(lots * self.lot_units, self.base))

    def base_amount(self, lots: int) -> Amount:
        """Lots as money."""
        return Amount(lots * self.lot_units, self.base)

    def quote_amount(self, ticklots: int) -> Amount:
        """A sum of price times quantity as money."""
        return Amount(ticklots * self.ticklot_units, self.quote)

    def average_price(self, ticklots: int, lots: int) -> str:
        """The volume-weighted price in the quote's decimals, rounded down; empty where nothing was filled."""
        if lots == 0:
            return ""
        return str(Amount(ticklots * self.tick_units // lots, self.quote))

    @property
    def tick_size(self) -> str:
        return self.price(1)

    @property
    def lot_size(self) -> str:
        return self.size(1)


def _steps(text: str, code: str, step: int, largest: int) -> int:
    try:
        units = Amount.parse(text, code).units
    except BadAmount as error:
        if _is_finer(text, asset(code).decimals):
            raise NotOnGrid(text[:40], str(Amount(step, code))) from error
        raise
    if units % step:
        raise NotOnGrid(text[:40], str(Amount(step, code)))
    steps = units // step
    if not 0 < steps <= largest:
        raise OutOfRange(text[:40])
    return steps


def _is_finer(text: str, decimals: int) -> bool:
    """Whether the text is a plain decimal whose only fault is to have more digits than the asset."""
    whole, _, fraction = text.partition(".")
    return all(part.isascii() and part.isdigit() for part in (whole, fraction)) and len(fraction) > decimals
