"""The life of a deposit, and when coins are ours for good."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """`missing` is a deposit that was booked and that the chain then took back; an officer must look."""

    SEEN = "seen"
    CREDITED = "credited"
    IN_SUSPENSE = "in_suspense"
    ORPHANED = "orphaned"
    MISSING = "missing"


NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.SEEN: frozenset({State.CREDITED, State.IN_SUSPENSE, State.ORPHANED}),
    State.ORPHANED: frozenset({State.SEEN}),
    State.CREDITED: frozenset({State.MISSING}),
    State.IN_SUSPENSE: frozenset({State.MISSING}),
    State.MISSING: frozenset({State.CREDITED, State.IN_SUSPENSE}),
}

CONFIRMATIONS: Final[Mapping[str, int]] = {"mainnet": 3, "testnet": 3, "signet": 2, "regtest": 2}
"""Blocks, its own included, before a deposit is credited and a payment is settled."""
BOOKED: Final = frozenset({State.CREDITED, State.IN_SUSPENSE})


class UnknownNetwork(LookupError):
    """No depth is agreed for this network, so nothing is ever deep enough there."""


def depth_needed(network: str) -> int:
    """Confirmations after which coins count."""
    try:
        return CONFIRMATIONS[network]
    except KeyError:
        raise UnknownNetwork(network) from None


def confirmations(height: int | None, tip: int) -> int:
    """How many blocks stand on the transaction, its own included; 0 outside the chain."""
    return 0 if height is None or height > tip else tip - height + 1


def is_final(height: int | None, tip: int, network: str) -> bool:
    """Whether coins of that block count at this tip."""
    return confirmations(height, tip) >= depth_needed(network)


def booked(*, has_customer: bool) -> State:
    """Where a deposit that is deep enough goes: to its customer, or into suspense where nobody owns the
    address.
    """
    return State.CREDITED if has_customer else State.IN_SUSPENSE


def after_return(*, was_booked: bool, has_customer: bool) -> State:
    """Where a deposit goes that comes back into a block after a reorganisation."""
    return booked(has_customer=has_customer) if was_booked else State.SEEN


def after_loss(state: State) -> State:
    """Where a deposit goes whose block left the chain."""
    return State.MISSING if state in BOOKED else State.ORPHANED
