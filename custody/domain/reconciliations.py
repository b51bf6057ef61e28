"""What a wallet should hold on the chain, by the books.

The ledger learns of coins only when they are deep enough. What is in blocks already, but not deep enough, is
counted beside it: then chain and books agree at every height, and whatever is left over is a break.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

LATE: Final = timedelta(hours=24)
"""After so long, what the lane signed and is not final in the chain is a matter for people."""


@dataclass(frozen=True, slots=True)
class Books:
    """Units of one wallet at one height. `posted` is the ledger's; the rest stands in blocks, not there."""

    height: int
    tip: str
    posted: int
    arriving: int
    leaving: int

    @property
    def units(self) -> int:
        """What its addresses should hold at that height."""
        return self.posted + self.arriving - self.leaving
