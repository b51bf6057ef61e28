"""What a wallet should hold on the chain, by the books, and whether the books are sound as a whole.

The ledger learns of coins only when they are deep enough. What is in blocks already, but not deep enough, is
counted beside it: then chain and books agree at every height, and whatever is left over is a break.

All accounts of an asset sum to zero, so what customers and the house are owed is what the wallets hold by the
books, and what the networks took, and what officers credited against no coins. Wallets are compared with the
chain and credits with officers' signatures: nothing is left over that could hide a balance without a coin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from custody.domain.booked import Booked
from custody.domain.credits import Credit
from kernel.money import Amount

LATE: Final = timedelta(hours=24)
"""After so long, what the lane signed and is not final in the chain is a matter for people."""
SILENT: Final = "silent"
"""What stands for a signer's answer to an attestation where it gave none."""
BLIND: Final = "Could not look at"
"""How a break begins that says no more than that nobody could look for too long."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The books beyond the wallet, at the same moment, whatever the asset: at the venue one buys another.

    `elsewhere` is what the other wallets of its asset should hold. By asset, `credited` are the credits
    against no coins, and `left` what all accounts sum to. `lowest` has for asset and kind the lowest balance
    of one account, as it reads. `credits` are those that were not known; `booked` is what came from the chain
    and left by it.
    """

    asset: str = "BTC"
    elsewhere: int = 0
    credited: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)
    lowest: Mapping[tuple[str, str], int] = field(default_factory=dict)
    credits: tuple[Credit, ...] = ()
    booked: Booked = field(default_factory=Booked)


@dataclass(frozen=True, slots=True)
class Books:
    """Units of one wallet at one height. `posted` is the ledger's; the rest stands in blocks, not there."""

    height: int
    tip: str
    posted: int
    arriving: int
    leaving: int
    whole: Whole = field(default_factory=Whole)

    @property
    def units(self) -> int:
        """What its addresses should hold at that height."""
        return self.posted + self.arriving - self.leaving


def breaks(whole: Whole, *, elsewhere: int, signed: Mapping[str, int]) -> list[str]:
    """What is not sound in the books, by how much, as an operator is told it; empty if all is.

    `elsewhere` is what the other wallets hold on the chain; `signed` are by asset the credits that officers
    signed for.
    """
    found: list[str] = []
    if whole.elsewhere != elsewhere:
        found.append(
            f"The other wallets hold {_said(elsewhere, whole.asset)} on the chain, the books say "
            f"{_said(whole.elsewhere, whole.asset)}: {_difference(elsewhere - whole.elsewhere, whole.asset)}."
        )
    for asset in sorted(whole.credited.keys() | signed):
        credited, agreed = whole.credited.get(asset, 0), signed.get(asset, 0)
        if credited != agreed:
            found.append(
                f"Credits against no coins are {_said(credited, asset)} in the ledger, and officers signed "
                f"for {_said(agreed, asset)}: {_difference(credited - agreed, asset)}."
            )
    found += [
        f"An account of the kind {kind} stands at {_said(units, asset)}, below nothing."
        for (asset, kind), units in sorted(whole.lowest.items())
        if units < 0
    ]
    found += [
        f"All accounts of {asset} together are {_said(units, asset)}, and not nothing."
        for asset, units in sorted(whole.left.items())
        if units
    ]
    return found


def _said(units: int, asset: str) -> str:
    return f"{Amount(units, asset)} {asset}"


def _difference(units: int, asset: str) -> str:
    return f"{_said(abs(units), asset)} too {'much' if units > 0 else 'little'}"
