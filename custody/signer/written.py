"""Amounts, times and lists as people write them for a draft: a number without its unit is refused."""

from __future__ import annotations

import re
from typing import Any, Final

from kernel.money import Amount

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TIME: Final = re.compile(r"([1-9][0-9]{0,7})([smhd])")
_SATS: Final = re.compile(r"(0|[1-9][0-9]{0,18})sats")
_RATE: Final = re.compile(r"([1-9][0-9]{0,6})sats/vB")


Document = dict[str, Any]
NONE: Final = "none"


class BadDraft(ValueError):
    """The change cannot be made as it was asked for; nothing was written."""


def units(text: str) -> str:
    """Native units of 0.06BTC or 6000000sats; BadDraft, because a bare number could be either."""
    if text.endswith("BTC"):
        return str(Amount.parse(text.removesuffix("BTC"), "BTC").units)
    if (found := _SATS.fullmatch(text)) is None:
        raise BadDraft(f"{text}: say the unit, as in 0.06BTC or 6000000sats")
    return found[1]


def rate(text: str) -> str:
    """Satoshis per virtual byte, of 200sats/vB; BadDraft."""
    if (found := _RATE.fullmatch(text)) is None:
        raise BadDraft(f"{text}: say the unit, as in 200sats/vB")
    return found[1]


def seconds(text: str) -> int:
    """Seconds of 90s, 15m, 12h or 3d; BadDraft."""
    if (found := _TIME.fullmatch(text)) is None:
        raise BadDraft(f"{text}: say the unit, as in 90s, 15m, 12h or 3d")
    return int(found[1]) * _SECONDS[found[2]]


def names(text: str) -> list[str]:
    """The parts between commas."""
    return [part.strip() for part in text.split(",")]


def put(section: Document, member: str, value: object, name: str = "") -> None:
    """Write that member of a document's section and no other; None takes it away. BadDraft where it is so."""
    if section.get(member) == value:
        raise BadDraft(f"{name or member} is {'not there' if value is None else value} already")
    if value is None:
        del section[member]
    else:
        section[member] = value
