"""What the books say came from the chain and left by it, and what the chain itself shows of that.

The database is asked where to look, and how many entries there are. What it leaves out is missing on one
side, what it makes up on the other: so it need not be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kernel.money import Amount

ASSET: Final = "BTC"
"""Of the one chain that is read."""
TABLES: Final = 3
FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Deposit:
    """One that is said to be on the chain: to the script (hex) of an address, whose owner is a customer, or
    nobody (""). `credited` is what its entry gives whom.
    """

    txid: str
    vout: int
    units: int
    script: str
    owner: str = ""
    credited: tuple[tuple[str, int], ...] = ()

    @property
    def coin(self) -> str:
        """Its output."""
        return f"{self.txid}:{self.vout}"

    @property
    def is_theirs(self) -> bool:
        """Whether its entry gives all of it, and no more, to whose address it came to.

        Or to nobody: it may have come before its address was somebody's, and waits in suspense.
        """
        return self.credited in (((self.owner, self.units),), (("", self.units),))


@dataclass(frozen=True, slots=True)
class Booked:
    """How many deposits and payments have an entry, and which network fees are in the ledger; with those that
    the chain has not shown yet, or the first of them where `more` are left.
    """

    deposits: int = 0
    payments: int = 0
    fees: int = 0
    arrived: tuple[Deposit, ...] = ()
    left: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a round through all bookings goes on: behind a row of deposits, of payments, or of versions."""

    table: int = 0
    after: UUID = FIRST


@dataclass(frozen=True, slots=True)
class Bookings:
    """A piece of it: so many rows, with what the chain has not shown yet. `place` is None at its end."""

    place: Place | None
    rows: int
    arrived: tuple[Deposit, ...]
    left: tuple[str, ...]


def breaks(booked: Booked, *, deposits: int, payments: int, fees: int) -> list[str]:
    """Where the books say another thing than the chain shows, as an operator is told it."""
    found = []
    if booked.deposits != deposits:
        found.append(f"{booked.deposits} deposits are booked, and the chain has {deposits} of them.")
    if booked.payments != payments:
        found.append(f"{booked.payments} payments are booked, and the chain has {payments} of them.")
    if booked.fees != fees:
        found.append(
            f"Network fees are {Amount(booked.fees, ASSET)} {ASSET} in the ledger, and the chain's come to "
            f"{Amount(fees, ASSET)} {ASSET}."
        )
    return found
