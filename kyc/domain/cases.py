"""Cases: what people must look at, and who may end them how."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """A case is `proposed` while a tier decision about it waits for its checker."""

    QUEUED = "queued"
    IN_REVIEW = "in_review"
    PROPOSED = "proposed"
    RESOLVED = "resolved"


NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.IN_REVIEW, State.PROPOSED, State.RESOLVED}),
    State.IN_REVIEW: frozenset({State.PROPOSED, State.RESOLVED}),
    State.PROPOSED: frozenset({State.IN_REVIEW, State.RESOLVED}),
    State.RESOLVED: frozenset(),
}


class Kind(StrEnum):
    """Why the case exists."""

    REVIEW = "review"
    FRAUD = "fraud"
    OFFICER_BLOCK = "officer_block"
    MISMATCH = "mismatch"
    COUNTRY = "country"
    LATE_REJECTION = "late_rejection"
    CONTRADICTION = "contradiction"
    TIER_DECISION = "tier_decision"


class Outcome(StrEnum):
    """How a case ended."""

    APPROVE_TIER = "approve_tier"
    REQUEST_MORE = "request_more"
    REJECT_FINAL = "reject_final"
    NO_ACTION = "no_action"


# While one of these is open no tier is raised, whatever a provider says.
BLOCKING: Final = frozenset(
    {Kind.FRAUD, Kind.OFFICER_BLOCK, Kind.MISMATCH, Kind.COUNTRY, Kind.LATE_REJECTION}
)
# And these also take away what the customer holds, until people have decided.
SUSPENDING: Final = frozenset({Kind.FRAUD, Kind.OFFICER_BLOCK, Kind.COUNTRY, Kind.LATE_REJECTION})

# One officer alone may end a case only so that nothing is given by it, now or by the provider's next answer.
# `approve_tier` needs an approval; so does every end of an officer's block.
BY_ONE_OFFICER: Final[Mapping[Kind, frozenset[Outcome]]] = {
    Kind.REVIEW: frozenset({Outcome.REJECT_FINAL, Outcome.REQUEST_MORE, Outcome.NO_ACTION}),
    Kind.FRAUD: frozenset({Outcome.REJECT_FINAL}),
    Kind.OFFICER_BLOCK: frozenset(),
    Kind.MISMATCH: frozenset({Outcome.REJECT_FINAL, Outcome.REQUEST_MORE}),
    Kind.COUNTRY: frozenset({Outcome.REJECT_FINAL, Outcome.REQUEST_MORE}),
    Kind.LATE_REJECTION: frozenset({Outcome.REJECT_FINAL}),
    Kind.CONTRADICTION: frozenset({Outcome.REJECT_FINAL, Outcome.NO_ACTION}),
    Kind.TIER_DECISION: frozenset({Outcome.REJECT_FINAL, Outcome.REQUEST_MORE, Outcome.NO_ACTION}),
}


def cap(kind: Kind) -> int | None:
    """The highest tier while such a case is open; None where it takes nothing away."""
    return 0 if kind in SUSPENDING else None
