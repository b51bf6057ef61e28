"""The life of a verification: one customer at one level of one provider."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a verification stands. Nothing here is final except `erased`: a yes can turn into a no later."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    SUBMITTED = "submitted"
    ON_HOLD = "on_hold"
    APPROVED = "approved"
    RETRY_REQUIRED = "retry_required"
    REJECTED_FINAL = "rejected_final"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    ERASED = "erased"


_RESULTS: Final = frozenset({State.APPROVED, State.ON_HOLD, State.RETRY_REQUIRED, State.REJECTED_FINAL})
_OPEN: Final = frozenset({State.IN_PROGRESS, State.SUBMITTED})
_ENDINGS: Final = frozenset({State.SUSPENDED, State.ERASED})

# We see a provider's state in samples, so a step may skip what happened between two of them.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.NOT_STARTED: _OPEN | _RESULTS | _ENDINGS,
    State.IN_PROGRESS: frozenset({State.SUBMITTED}) | _RESULTS | _ENDINGS,
    State.SUBMITTED: frozenset({State.IN_PROGRESS}) | _RESULTS | _ENDINGS,
    State.ON_HOLD: _OPEN | (_RESULTS - {State.ON_HOLD}) | _ENDINGS,
    State.RETRY_REQUIRED: _OPEN | (_RESULTS - {State.RETRY_REQUIRED}) | _ENDINGS,
    State.APPROVED: _OPEN | (_RESULTS - {State.APPROVED}) | _ENDINGS | {State.EXPIRED},
    State.EXPIRED: _OPEN | _RESULTS | _ENDINGS,
    State.REJECTED_FINAL: frozenset({State.APPROVED, State.SUSPENDED, State.ERASED}),
    State.SUSPENDED: frozenset({State.APPROVED, State.REJECTED_FINAL, State.ERASED}),
    State.ERASED: frozenset(),
}

# These steps lift a final no, so no provider can take them: two people must.
BY_OFFICERS_ONLY: Final = frozenset(
    {(State.REJECTED_FINAL, State.APPROVED), (State.SUSPENDED, State.APPROVED)}
)

FINAL_NO: Final = frozenset({State.REJECTED_FINAL, State.SUSPENDED})
LIFTED: Final = FINAL_NO | {State.ON_HOLD}
"""What a tier decision of officers about the verification turns into a yes."""
UNSETTLED: Final = frozenset({State.NOT_STARTED, State.IN_PROGRESS, State.SUBMITTED, State.ON_HOLD})
"""Worth asking the provider about now and then, in case a webhook was lost."""


def may_move(before: State, after: State, *, by_officers: bool = False) -> bool:
    """Whether the step exists, and whether whoever takes it may."""
    return after in NEXT[before] and (by_officers or (before, after) not in BY_OFFICERS_ONLY)


def is_asked_for(state: State, *, attempt: int) -> bool:
    """Whether provider or officers have asked the customer for more, and still wait for it."""
    return state in {State.RETRY_REQUIRED, State.EXPIRED} or (state == State.IN_PROGRESS and attempt > 1)


def is_new_attempt(before: State, after: State) -> bool:
    """Whether the step begins another attempt, counted apart from the one that ended."""
    return before in {State.RETRY_REQUIRED, State.EXPIRED, State.APPROVED} and after in _OPEN


def is_loss(before: State, after: State) -> bool:
    """Whether the step takes something away that had been earned."""
    return before is State.APPROVED or after in FINAL_NO
