"""Blocks as custody reads them: only what concerns us."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from kernel.transaction import Outpoint

QUIET_MAX: Final = timedelta(hours=2)
"""Every ten minutes a block is due; so long a pause comes about once in three years."""
MADE_TO_ORDER: Final = "regtest"
"""The network whose blocks come when somebody mines them."""


@dataclass(frozen=True, slots=True)
class Received:
    """An output that pays to a script of ours."""

    outpoint: Outpoint
    sats: int
    script: str
    coinbase: bool = False


@dataclass(frozen=True, slots=True)
class SeenBlock:
    """One block: `spent` maps coins to the transaction that spent them, ours or not; `txids` are all it
    holds.
    """

    height: int
    hash: str
    previous: str
    received: tuple[Received, ...] = ()
    spent: Mapping[Outpoint, str] = field(default_factory=dict)
    txids: frozenset[str] = frozenset()


class DoesNotConnect(ValueError):
    """The block does not stand on the highest one that was read."""


def connects(block: SeenBlock, *, tip_height: int, tip_hash: str | None) -> None:
    """DoesNotConnect unless the block is the next one; before the first block any will do."""
    if tip_hash is None:
        return
    if block.height != tip_height + 1 or block.previous != tip_hash:
        raise DoesNotConnect(f"block {block.height} does not stand on {tip_hash} at {tip_height}")


def concerns(block: SeenBlock, *, coins: Collection[Outpoint], payments: Collection[str]) -> bool:
    """Whether the block pays us, spends a coin of ours, or holds a transaction of ours."""
    return bool(
        block.received or not block.spent.keys().isdisjoint(coins) or not block.txids.isdisjoint(payments)
    )


def is_too_quiet(quiet: timedelta, network: str) -> bool:
    """Whether so long a time without a block tells rather of the node than of the network."""
    return network != MADE_TO_ORDER and quiet > QUIET_MAX
