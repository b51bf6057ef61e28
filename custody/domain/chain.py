"""Blocks as custody reads them: only what concerns us."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kernel.transaction import Outpoint


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
