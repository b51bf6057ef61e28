"""What an account pays for trading: the levels that this venue has, and what each is worth.

Rates are millionths of what an account receives, as the engine counts them; an account that has none of its
own pays the market's. The engine knows one pair of rates for an account, on every market. What an account's
rates are is what officers approved; a level that changes here changes nobody's until that is approved anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

MARKET: Final = "market"
"""A rate in words where it is the market's own."""


class Rates(NamedTuple):
    """One account's rates on every market, in millionths."""

    maker_ppm: int
    taker_ppm: int


STANDARD: Final = "Lv1"
"""The level of everybody who has no other, as OKX calls it."""

LEVELS: Final[Mapping[str, Rates | None]] = {
    STANDARD: None,
    "VIP1": Rates(600, 800),
    "VIP2": Rates(500, 700),
    "VIP3": Rates(300, 500),
    "MM1": Rates(0, 400),
}
"""Level to its rates; None is the market's own."""


def rates(maker_ppm: int | None, taker_ppm: int | None) -> Rates | None:
    """A stored pair, of which either both are there or neither is."""
    return None if maker_ppm is None or taker_ppm is None else Rates(maker_ppm, taker_ppm)


def texts(own: Rates | None) -> tuple[str, str]:
    """A maker's and a taker's rate as officers sign them: millionths, or that they are the market's."""
    return (MARKET, MARKET) if own is None else (str(own.maker_ppm), str(own.taker_ppm))


def from_texts(maker: str, taker: str) -> Rates | None:
    """The same back."""
    return None if (maker, taker) == (MARKET, MARKET) else Rates(int(maker), int(taker))
