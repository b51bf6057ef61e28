"""Steps of the state tables in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


class WrongTurn(ValueError):
    """The table has no such step: what was asked came too late, too early, or twice."""

    def __init__(self, before: StrEnum, after: StrEnum) -> None:
        super().__init__(f"{before} cannot become {after}")
        self.before, self.after = before, after


def step(table: Mapping[S, frozenset[S]], before: S, after: S) -> S:
    """`after`, if the table allows it; WrongTurn otherwise."""
    if after not in table[before]:
        raise WrongTurn(before, after)
    return after
