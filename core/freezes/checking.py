"""Asking whether something is frozen: every act that moves or trades asks inside its own transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set
from contextlib import contextmanager
from typing import ClassVar

from core import action
from core.freezes import holding, looking
from core.freezes.deeds import Deed, begun
from core.freezes.domain.scopes import described
from core.freezes.models import Freeze
from core.refusals import Refused


class Frozen(Refused):
    """An order to stop is in force."""

    code: ClassVar[str] = "frozen"
    status: ClassVar[int] = 423

    def __init__(self, freeze: Freeze) -> None:
        super().__init__(
            f"{described(freeze.scope)} frozen since {freeze.pulled_at:%Y-%m-%d %H:%M} UTC. "
            "Nothing was changed; support can say more.",
            target=f"freezes.freeze/{freeze.pk}",
        )
        self.scope = freeze.scope


class BeingFrozen(Refused):
    """A freeze is being pulled, perhaps of something else that looks the same from here."""

    code: ClassVar[str] = "frozen.just_now"
    status: ClassVar[int] = 503


def check(*scopes: str) -> None:
    """Frozen where a freeze of any of these scopes is in force; in an act also where one is when it ends."""
    _look(scopes)
    if action.is_open():
        action.lastly(_look_again, *scopes)


def among(*scopes: str) -> list[Frozen]:
    """What is in force of these, the oldest first, for whom one of them stops and another does not."""
    return [Frozen(freeze) for freeze in looking.look(scopes)]


@contextmanager
def throughout(*scopes: str) -> Iterator[None]:
    """Check now, and again at the end of every act that is done in this block."""
    check(*scopes)
    with action.each_lastly(_look_again, *scopes):
        yield


@contextmanager
def meanwhile(*scopes: str) -> Iterator[Deed]:
    """Check for a deed that no transaction keeps: no freeze of these is answered before that is over."""
    with begun({*scopes}) as deed:
        if deed.freeze is not None:
            raise Frozen(deed.freeze)
        if not deed.is_held:
            raise BeingFrozen("Something is being frozen at this moment. Nothing was done; try again.")
        yield deed


def _look_again(scopes: Set[str]) -> None:
    """The act's last look: behind it the act is kept before any freeze of these is answered."""
    holding.hold_beside(scopes)
    _look(scopes)


def _look(scopes: Collection[str]) -> None:
    for freeze in looking.look(scopes):
        raise Frozen(freeze)
