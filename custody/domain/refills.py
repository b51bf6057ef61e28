"""The life of a refill, and how much the hot wallet needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from custody.domain.wallets import Targets
from kernel.money import Amount


class State(StrEnum):
    """Where a refill stands. From `exported` on the bundle has left the building."""

    PROPOSED = "proposed"
    REQUESTED = "requested"
    APPROVED = "approved"
    BUILT = "built"
    EXPORTED = "exported"
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


# `lapsed` keeps its coins locked: cold signatures given out stay good until a coin is spent. If the old
# transaction turns up on the chain after all, the refill is settled from there.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.PROPOSED: frozenset({State.REQUESTED, State.DISMISSED}),
    State.REQUESTED: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED}),
    State.APPROVED: frozenset({State.BUILT, State.REJECTED, State.EXPIRED}),
    State.BUILT: frozenset({State.EXPORTED, State.FAILED}),
    State.EXPORTED: frozenset({State.SIGNED, State.LAPSED, State.CONFIRMED}),
    State.SIGNED: frozenset({State.BROADCAST, State.CONFIRMED, State.CONFLICTED}),
    State.BROADCAST: frozenset({State.CONFIRMED, State.CONFLICTED}),
    State.CONFIRMED: frozenset({State.SETTLED, State.BROADCAST}),
    State.CONFLICTED: frozenset({State.CONFIRMED, State.FAILED}),
    State.LAPSED: frozenset({State.CONFIRMED}),
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
"""A wallet has at most one refill in these, which the database keeps too. Beside it may be one that lapsed
and was completed after all: what the chain says is never refused.
"""
PAYING: Final = frozenset(
    {
        *(State.BUILT, State.EXPORTED, State.SIGNED, State.BROADCAST, State.CONFIRMED, State.CONFLICTED),
        State.LAPSED,
    }
)
"""States in which a transaction of ours exists."""

APPROVE_WITHIN: Final = timedelta(days=2)
EXECUTE_WITHIN: Final = timedelta(days=2)
FEE_CAP: Final = Amount(100_000, "BTC")
SMALLEST: Final = Amount(100_000, "BTC")
"""A refill below this is not worth people's time."""


def is_stale(amount: Amount, need: Amount | None, marks: Targets) -> bool:
    """Whether a proposal fits what is needed by now no more: nothing is, or it would fill the hot wallet
    above its target by more than lies between the target and the mark below which one is due.
    """
    return need is None or amount - need > marks.target - marks.refill_below


def amount_to_propose(*, hot: Amount, promised: Amount, marks: Targets, cold: Amount) -> Amount | None:
    """How much to move from cold to hot: up to the target, as far as cold reaches; None where nothing is due.

    `promised` is what withdrawals will still take out of the hot wallet.
    """
    left = hot - promised
    if left >= marks.refill_below:
        return None
    need, reachable = marks.target - left, cold - FEE_CAP
    amount = min(need, reachable, key=lambda item: item.units)
    return amount if amount >= SMALLEST else None
