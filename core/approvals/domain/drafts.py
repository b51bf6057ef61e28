"""The life of a draft of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """A draft is edited until it is put before the checkers; published, it is a version for good."""

    DRAFT = "draft"
    ASKED = "asked"
    PUBLISHED = "published"
    REJECTED = "rejected"
    DROPPED = "dropped"


NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.DRAFT: frozenset({State.ASKED, State.DROPPED}),
    State.ASKED: frozenset({State.PUBLISHED, State.REJECTED}),
    State.PUBLISHED: frozenset(),
    State.REJECTED: frozenset(),
    State.DROPPED: frozenset(),
}
