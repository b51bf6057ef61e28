"""What the lane signed and nobody has seen final.

A signature can be kept back and sent much later. So what the lane signed counts towards its window until a
reconciler attests that it is final, and then for one window more: whoever collects signatures in many windows
holds one window's worth of them, and no more than that is confirmed within any window.

A transaction is final when one of its coins is spent deep in the chain, by itself or by another. Versions of
one intent count its payment once, so it counts as long as any of them could be confirmed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Spent:
    """One transaction that was signed: when, out of which wallet, how much, and how much of it to whom."""

    at_ms: int
    wallet: str
    units: int
    paid: Mapping[str, int]
    coins: frozenset[str]
    intents: frozenset[str]
    unattended: bool = False


@dataclass(slots=True)
class Outstanding:
    """Transactions by id; `final` are those that still count for another version of what they pay."""

    spends: dict[str, Spent] = field(default_factory=dict)
    final: set[str] = field(default_factory=set)

    def of(self, wallet: str) -> Iterator[Spent]:
        """Those of one wallet."""
        return (spent for spent in self.spends.values() if spent.wallet == wallet)

    def counted(self) -> set[str]:
        """The intents that a transaction which may yet be confirmed pays: each is counted once here."""
        live = self.spends.keys() - self.final
        return {intent for txid in live for intent in self.spends[txid].intents}

    def news(self, wallet: str, spent: Mapping[str, str]) -> dict[str, str]:
        """The part of an attestation about this wallet that makes something final here."""
        live = [self.spends[txid] for txid in self.spends.keys() - self.final]
        coins = {coin for one in live if one.wallet == wallet for coin in one.coins}
        return {coin: by for coin, by in spent.items() if coin in coins}

    def settle(self, coins: Collection[str], *, at_ms: int) -> list[Spent]:
        """What is over once these coins are spent, as if it were signed at this moment."""
        self.final |= {txid for txid, one in self.spends.items() if not one.coins.isdisjoint(coins)}
        counted = self.counted()
        over = {txid for txid in self.final if self.spends[txid].intents.isdisjoint(counted)}
        self.final -= over
        return [replace(self.spends.pop(txid), at_ms=at_ms) for txid in sorted(over)]
