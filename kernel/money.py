"""Money: an integer number of the asset's smallest unit, never a float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,58})(?:\.([0-9]{1,18}))?")


class MoneyError(ValueError):
    """Base of the errors in this file."""


class UnknownAsset(MoneyError):
    """The code names no registered asset."""


class AssetMismatch(MoneyError):
    """Two amounts of different assets were combined."""


class BadAmount(MoneyError):
    """The text is no plain decimal, or is finer than the asset's smallest unit."""


@dataclass(frozen=True, slots=True)
class Asset:
    """What can be held: `decimals` is how many digits stand between one coin and one unit."""

    code: str
    decimals: int
    name: str


ASSETS: Final[dict[str, Asset]] = {
    asset.code: asset
    for asset in (
        Asset("BTC", 8, "Bitcoin"),
        Asset("ETH", 18, "Ether"),
        Asset("USDT", 6, "Tether USD"),
    )
}


def asset(code: str) -> Asset:
    """The registered asset of that code."""
    try:
        return ASSETS[code]
    except KeyError:
        raise UnknownAsset(code) from None


@dataclass(frozen=True, slots=True, order=False)
class Amount:
    """`units` of the smallest unit of `asset`; may be negative (a debit)."""

    units: int
    asset: str

    def __post_init__(self) -> None:
        if type(self.units) is not int:
            raise BadAmount(f"units must be an integer, not {type(self.units).__name__}")
        asset(self.asset)

    @classmethod
    def parse(cls, text: str, code: str) -> Amount:
        """Read a plain non-negative decimal such as "0.25"; no sign, exponent or rounding."""
        found = _DECIMAL.fullmatch(text)
        if found is None:
            raise BadAmount(f"not a plain decimal: {text[:80]!r}")
        whole, fraction = found.group(1), found.group(2) or ""
        decimals = asset(code).decimals
        if len(fraction.rstrip("0")) > decimals:
            raise BadAmount(f"{code} has {decimals} decimals: {text[:80]!r}")
        return cls(int(whole + fraction[:decimals].ljust(decimals, "0")), code)

    def __str__(self) -> str:
        """Plain decimal without trailing zeros, e.g. "0.25"; the asset is not part of it."""
        sign, digits = ("-" if self.units < 0 else ""), str(abs(self.units))
        decimals = asset(self.asset).decimals
        digits = digits.rjust(decimals + 1, "0")
        whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
        fraction = fraction.rstrip("0")
        return sign + whole + (f".{fraction}" if fraction else "")

    def _same(self, other: Amount) -> int:
        if self.asset != other.asset:
            raise AssetMismatch(f"{self.asset} and {other.asset}")
        return other.units

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.units + self._same(other), self.asset)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.units - self._same(other), self.asset)

    def __neg__(self) -> Amount:
        return Amount(-self.units, self.asset)

    def __lt__(self, other: Amount) -> bool:
        return self.units < self._same(other)

    def __le__(self, other: Amount) -> bool:
        return self.units <= self._same(other)

    def __gt__(self, other: Amount) -> bool:
        return self.units > self._same(other)

    def __ge__(self, other: Amount) -> bool:
        return self.units >= self._same(other)
