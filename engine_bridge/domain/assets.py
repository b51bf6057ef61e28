"""The engine's numbers of assets. Their unit there is the asset's smallest unit, as everywhere else."""

from __future__ import annotations

from typing import Final

NUMBERS: Final = {"BTC": 1, "USDT": 2}
_CODES: Final = {number: code for code, number in NUMBERS.items()}


class UntradedAsset(LookupError):
    """The asset cannot enter the venue."""


def number(code: str) -> int:
    """The engine's number of an asset."""
    try:
        return NUMBERS[code]
    except KeyError:
        raise UntradedAsset(code) from None


def code(number: int) -> str:
    """The asset of one of the engine's numbers."""
    try:
        return _CODES[number]
    except KeyError:
        raise UntradedAsset(str(number)) from None
