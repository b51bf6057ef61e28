"""The life of a withdrawal: its states, the steps between them, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from kernel.money import Amount


class State(StrEnum):
    """Where a withdrawal stands. From `built` on there is a transaction, from `signing` on a signature may
    exist. An offered one is before the signers' lane, with a transaction and no officers.
    """

    REQUESTED = "requested"
    ON_HOLD = "on_hold"
    OFFERED = "offered"
    SCREENED = "screened"
    APPROVED = "approved"
    BUILT = "built"
    SIGNING = "signing"
    REFUSED = "refused"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    CONFIRMED = "confirmed"
    CONFLICTED = "conflicted"
    SETTLED = "settled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


# Nobody but the chain moves a withdrawal once it is signed: no step leads from there to an end without
# payment,
# except over `conflicted`, which needs proof that one of its coins was spent elsewhere.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.REQUESTED: frozenset(
        {State.SCREENED, State.ON_HOLD, State.OFFERED, State.CANCELLED, State.EXPIRED}
    ),
    State.ON_HOLD: frozenset({State.SCREENED, State.REJECTED, State.CANCELLED, State.EXPIRED}),
    State.OFFERED: frozenset({State.SIGNED, State.SCREENED, State.ON_HOLD}),
    State.SCREENED: frozenset({State.APPROVED, State.REJECTED, State.CANCELLED, State.EXPIRED}),
    State.APPROVED: frozenset({State.BUILT, State.REJECTED, State.EXPIRED}),
    State.BUILT: frozenset({State.SIGNING, State.FAILED}),
    State.SIGNING: frozenset({State.SIGNED, State.REFUSED}),
    State.REFUSED: frozenset({State.SIGNING, State.FAILED}),
    State.SIGNED: frozenset({State.BROADCAST, State.CONFIRMED, State.CONFLICTED}),
    State.BROADCAST: frozenset({State.CONFIRMED, State.CONFLICTED}),
    State.CONFIRMED: frozenset({State.SETTLED, State.BROADCAST}),
    State.CONFLICTED: frozenset({State.CONFIRMED, State.FAILED}),
    State.SETTLED: frozenset(),
    State.REJECTED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
    State.FAILED: frozenset(),
}

ENDED: Final = frozenset(state for state, following in NEXT.items() if not following)
UNPAID: Final = ENDED - {State.SETTLED}
"""Ends in which the customer's funds were given back: these count towards no limit."""
CANCELLABLE: Final = frozenset(state for state, following in NEXT.items() if State.CANCELLED in following)
PAYING: Final = frozenset(
    {
        State.OFFERED,
        *(State.BUILT, State.SIGNING, State.REFUSED, State.SIGNED, State.BROADCAST, State.CONFIRMED),
        State.CONFLICTED,
    }
)
"""States in which a transaction of ours exists."""
PROMISED: Final = (frozenset(State) - ENDED) - {State.CONFIRMED, State.CONFLICTED}
"""States in which coins are still in the hot wallet that will leave it."""

APPROVE_WITHIN: Final = timedelta(hours=24)
EXECUTE_WITHIN: Final = timedelta(hours=24)
SCREEN_WITHIN: Final = timedelta(days=3)
"""How long a withdrawal may wait for the desk before it expires and the funds are free again."""
CLOCKS_DIFFER_MAX: Final = timedelta(hours=1)
"""After this much more, every signer's own clock agrees that an intent is void."""
OFFER_LIFE: Final = timedelta(hours=1)
"""How long the signers' lane may take what was offered to it; then officers are asked."""


class BadTerms(ValueError):
    """Base of the reasons why an amount cannot be withdrawn."""


class NotWithdrawable(BadTerms):
    """The asset has no withdrawals here."""


class TooSmall(BadTerms):
    """Less than the minimum: the network's fee would eat it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a withdrawal of one asset costs the customer, and what the network may cost us at most."""

    minimum: Amount
    fee: Amount
    fee_cap: Amount


TERMS: Final[Mapping[str, Terms]] = {
    "BTC": Terms(minimum=Amount(10_000, "BTC"), fee=Amount(5_000, "BTC"), fee_cap=Amount(50_000, "BTC")),
}


def terms(asset: str) -> Terms:
    """The terms of an asset; NotWithdrawable where there are none."""
    try:
        return TERMS[asset]
    except KeyError:
        raise NotWithdrawable(asset) from None


def to_hold(amount: Amount) -> Amount:
    """What is reserved on the customer's account: the amount and the fixed fee."""
    agreed = terms(amount.asset)
    if amount < agreed.minimum:
        raise TooSmall(f"{amount} {amount.asset} is below the minimum of {agreed.minimum}")
    return amount + agreed.fee
