"""What an account is for, and which way its balance reads."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class AccountKind(StrEnum):
    """A posting with a positive sign raises what we owe; it lowers what we hold."""

    CUSTOMER_FUNDING = "customer_funding"
    CUSTOMER_TRADING = "customer_trading"
    IN_TRANSIT = "in_transit"
    ENGINE_FEES = "engine_fees"
    WITHDRAWAL_FEES = "withdrawal_fees"
    SUSPENSE = "suspense"
    HOT_WALLET = "hot_wallet"
    COLD_WALLET = "cold_wallet"
    NETWORK_FEES = "network_fees"
    EXTERNAL = "external"


HELD_BY_US: Final = frozenset(
    {AccountKind.HOT_WALLET, AccountKind.COLD_WALLET, AccountKind.NETWORK_FEES, AccountKind.EXTERNAL}
)
"""Assets and expenses: their balance reads with the sign turned."""

NEVER_NEGATIVE: Final = frozenset(
    {AccountKind.CUSTOMER_FUNDING, AccountKind.CUSTOMER_TRADING, AccountKind.IN_TRANSIT}
)
"""Kinds whose units, less what is held, the database itself keeps at zero or above."""


def side(kind: str) -> int:
    """1 where a positive posting raises the balance, -1 where it lowers it."""
    return -1 if kind in HELD_BY_US else 1
