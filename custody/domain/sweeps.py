"""The life of a sweep, and how much of the hot wallet goes back to cold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final

from custody.domain.coins import Coin
from custody.domain.wallets import Overflow
from kernel.money import Amount
from kernel.transaction import Outpoint


class State(StrEnum):
    """Where a sweep stands. From `signing` on a hot signer may have signed it."""

    PROPOSED = "proposed"
    REQUESTED = "requested"
    APPROVED = "approved"
    BUILT = "built"
    SIGNING = "signing"
    REFUSED = "refused"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    CONFIRMED = "confirmed"
    CONFLICTED = "conflicted"
    SETTLED = "settled"
    DISMISSED = "dismissed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    LAPSED = "lapsed"
    FAILED = "failed"


# A sweep that `lapsed` has let go of its coins, although an answer that was lost on the way may be in
# somebody's hands: completed, it could only bring them to our own cold wallet, and whatever spends one of
# them first ends it. From `signing` on it is settled wherever it stands, if a block has its transaction.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.PROPOSED: frozenset({State.REQUESTED, State.DISMISSED}),
    State.REQUESTED: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED}),
    State.APPROVED: frozenset({State.BUILT, State.REJECTED, State.EXPIRED}),
    State.BUILT: frozenset({State.SIGNING, State.FAILED}),
    State.SIGNING: frozenset({State.SIGNED, State.REFUSED, State.LAPSED, State.CONFIRMED}),
    State.REFUSED: frozenset({State.SIGNING, State.LAPSED, State.CONFIRMED}),
    State.SIGNED: frozenset({State.BROADCAST, State.CONFIRMED, State.CONFLICTED}),
    State.BROADCAST: frozenset({State.CONFIRMED, State.CONFLICTED}),
    State.CONFIRMED: frozenset({State.SETTLED, State.BROADCAST}),
    State.CONFLICTED: frozenset({State.CONFIRMED, State.FAILED}),
    State.LAPSED: frozenset({State.CONFIRMED, State.FAILED}),
    State.SETTLED: frozenset(),
    State.DISMISSED: frozenset(),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
    State.FAILED: frozenset(),
}

ENDED: Final = frozenset(state for state, following in NEXT.items() if not following)
LIVE: Final = frozenset(State) - ENDED - {State.LAPSED}
"""While a wallet has one in these states, no other is proposed."""
ALONE: Final = LIVE - {State.BROADCAST, State.CONFIRMED, State.CONFLICTED}
"""A wallet has at most one sweep in these, which the database keeps too. Beside it may be one that lapsed
and was completed after all: what the chain says is never refused.
"""
LEAVING: Final = frozenset({State.BUILT, State.SIGNING, State.REFUSED, State.SIGNED, State.BROADCAST})
"""A transaction of ours exists that takes coins out of the hot wallet, and no block has it."""

APPROVE_WITHIN: Final = timedelta(days=1)
EXECUTE_WITHIN: Final = timedelta(days=1)
"""Short, since what was approved when the wallet was full could empty it later; signers keep the end too."""
FEE_CAP: Final = Amount(100_000, "BTC")
SMALLEST: Final = Amount(1_000_000, "BTC")
"""Ten times what the network may take: less is worth neither the fee nor people's time."""


def amount_to_propose(*, free: Amount, promised: Amount, marks: Overflow) -> Amount | None:
    """How much to move from hot to cold: what is left above `back_to`, once it is above `above`; None where
    nothing is due.

    `free` is what can be spent now, `promised` what withdrawals will still take of it. The network's fee
    comes out of what goes, not out of what stays.
    """
    left = free - promised
    if left <= marks.above:
        return None
    amount = left - marks.back_to - FEE_CAP
    return amount if amount >= SMALLEST else None


def is_stale(amount: Amount, due: Amount | None, marks: Overflow) -> bool:
    """Whether a proposal fits the hot wallet no more: nothing is due by now, or it would leave less than the
    mark below which a refill is.
    """
    return due is None or amount - due > marks.back_to - marks.refill_below


def shared(coins: Sequence[Coin], lapsed: Collection[frozenset[Outpoint]]) -> frozenset[Outpoint]:
    """Of the coins that a sweep may take those that it must: the largest of each that lapsed, so that of all
    of them one at the most is ever confirmed. `lapsed` are the coins of those that still could be.
    """
    of_each = [[coin for coin in coins if coin.outpoint in one] for one in lapsed]
    return frozenset(max(some, key=lambda coin: coin.sats).outpoint for some in of_each if some)


def spendable(coins: Sequence[Coin], *, promised: int) -> list[Coin]:
    """The coins that a sweep may take: those that withdrawals wait for stay free, as few as are enough.

    Change comes back with a block only, so a wallet of one coin is not swept while somebody is to be paid.
    """
    if promised <= 0:
        return list(coins)
    enough = [coin for coin in coins if coin.sats >= promised]
    if enough:
        kept = {min(enough, key=lambda coin: (coin.sats, coin.outpoint)).outpoint}
    else:
        kept, total = set(), 0
        for coin in sorted(coins, key=lambda coin: (-coin.sats, coin.outpoint)):
            if total >= promised:
                break
            kept.add(coin.outpoint)
            total += coin.sats
    return [coin for coin in coins if coin.outpoint not in kept]
