"""What can be frozen."""

from __future__ import annotations

import re
from typing import Final

PLATFORM_WITHDRAWALS: Final = "platform.withdrawals"
TRADER_API: Final = "trader-api"

WIDTHS: Final = (PLATFORM_WITHDRAWALS, TRADER_API, "asset", "wallet", "market", "customer")
"""The kinds of scope, first those that stop the most."""

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SCOPES: Final = re.compile(
    rf"{re.escape(PLATFORM_WITHDRAWALS)}|{TRADER_API}|asset:[A-Z0-9]{{2,16}}|wallet:[a-z0-9-]{{1,32}}"
    rf"|customer:{_UUID}|market:[A-Z0-9]{{2,16}}-[A-Z0-9]{{2,16}}"
)


class BadScope(ValueError):
    """No such thing can be frozen. A misspelt scope must not look like one that is free."""


def checked(scope: str) -> str:
    """The scope itself, if it is one; BadScope."""
    if not _SCOPES.fullmatch(scope):
        raise BadScope(scope)
    return scope


def customer(identifier: object) -> str:
    """The scope of one customer."""
    return checked(f"customer:{identifier}")


def market(symbol: str) -> str:
    """The scope of one market."""
    return checked(f"market:{symbol}")


def described(scope: str) -> str:
    """The scope in words, for the sentence that a person reads."""
    if scope == PLATFORM_WITHDRAWALS:
        return "All withdrawals are"
    if scope == TRADER_API:
        return "The trader API is"
    what, _, which = checked(scope).partition(":")
    return "This account is" if what == "customer" else f"The {what} {which} is"
