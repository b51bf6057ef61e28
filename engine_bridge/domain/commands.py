"""What is asked of the engine. A command's id is its idempotency key: sent twice, it is answered once. It is
a UUIDv7, as a number.

The engine knows orders by numbers only. A client's own name for an order (clOrdId) therefore leaves its
mark in the id of the command that places it: 62 bits of a digest in place of the random bits of a UUIDv7.
The engine journals that id and gives it back with the order, so an order can be found by its client's name
whatever else is lost.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from engine_bridge.domain.orders import OrderTerms

ORDER_LIFETIME_MS: Final = 5_000
"""How long the engine may still take an order; afterwards "never happened" is certain. Somewhat longer than
its sender waits (`client.ANSWER_S`, then a question): nobody wants what comes later, and where the sender was
killed, no freeze knows of it.
"""
CANCELLATION_LIFETIME_MS: Final = 10_000
"""The same of a cancellation, which only lowers risk."""

_MARK_MASK: Final = 2**62 - 1


class PlaceOrder(NamedTuple):
    """An order to enter. A tuple, since tens of thousands are made in a second."""

    command_id: int
    expires_at_ms: int
    order_id: int
    instrument_id: int
    account_id: int
    terms: OrderTerms


class CancelOrder(NamedTuple):
    """An order to take out of the book, if it belongs to the account."""

    command_id: int
    expires_at_ms: int
    order_id: int
    account_id: int


Command: TypeAlias = PlaceOrder | CancelOrder


@dataclass(frozen=True, slots=True)
class MoveFunds:
    """A transfer into or out of the venue, in the asset's smallest units. The id is the idempotency key."""

    transfer_id: UUID
    account_id: int
    asset_id: int
    units: int
    into_venue: bool


def client_mark(account_id: int, client_id: str) -> int:
    """62 bits that stand for this account's name of an order."""
    text = f"countersign/client-order/v1\0{account_id}\0{client_id}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & _MARK_MASK


def marked(command_id: int, mark: int) -> int:
    """The same id with the mark in its last 62 bits."""
    return (command_id & ~_MARK_MASK) | mark


def mark_of(command_id: int) -> int:
    """The last 62 bits of an id: the mark, where one was put there."""
    return command_id & _MARK_MASK
