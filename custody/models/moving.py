"""Rows with a state: one step at a time, by compare-and-swap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from core.refusals import Conflict
from custody.domain.turns import WrongTurn, step


class WrongState(Conflict):
    """The row is past this, or not there yet."""

    code = "custody.wrong_state"


class Moving(models.Model):
    """`NEXT` is the state table of the domain over `STATES`; `state` holds one of them."""

    STATES: ClassVar[type[StrEnum]]
    NEXT: ClassVar[Mapping[Any, frozenset[Any]]]
    state: Any

    class Meta:
        abstract = True

    def may_become(self, target_state: StrEnum) -> bool:
        """Whether the table has such a step from where the row stands."""
        cls = type(self)
        return cls.STATES(target_state) in cls.NEXT[cls.STATES(self.state)]

    @property
    def is_over(self) -> bool:
        """Whether the table has no step from where the row stands."""
        cls = type(self)
        return not cls.NEXT[cls.STATES(self.state)]

    def check_step(self, target_state: StrEnum) -> tuple[StrEnum, StrEnum]:
        """Where the row stands and where it may go; WrongState where the table has no such step."""
        states = type(self).STATES
        before, after = states(self.state), states(target_state)
        try:
            step(type(self).NEXT, before, after)
        except WrongTurn as error:
            raise WrongState(
                f"Nothing was changed: {error}. Look at it again.", target=self._target()
            ) from error
        return before, after

    def move_to(self, target_state: StrEnum, **changes: Any) -> None:
        """Take the step and write `changes` with it, if the row still is where it was read.

        WrongState where the table has no such step, Conflict where somebody else moved the row first.
        """
        before, state = self.check_step(target_state)
        rows: models.Manager[Any] = type(self)._default_manager
        changed = rows.filter(pk=self.pk, state=before).update(state=state, **changes)
        if not changed:
            raise Conflict("The row moved on meanwhile; look at it again.", target=self._target())
        self.state = state
        for name, value in changes.items():
            setattr(self, name, value)

    def _target(self) -> str:
        return f"{self._meta.label_lower}/{self.pk}"


def known(states: Iterable[StrEnum], name: str) -> models.CheckConstraint:
    """The check that `state` is one of the table's."""
    return models.CheckConstraint(condition=Q(state__in=sorted(str(state) for state in states)), name=name)


def choices(states: Iterable[StrEnum]) -> list[tuple[str, str]]:
    """The states as Django's choices, in the table's order."""
    return [(str(state), str(state).replace("_", " ")) for state in states]
