"""Which ceremony is strong enough for which act: the one table that answers "a code, or a passkey?"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from core.factors.domain.factors import Kind

CHALLENGE_FOR: Final = timedelta(seconds=60)
"""How long a challenge can be answered."""


class Needs(StrEnum):
    """What a line of the console's URLs asks for, beside its permission."""

    MONEY = "money"
    ACT = "act"
    ENROL = "enrol"
    SEALED = "sealed"
    ENTER = "enter"


STRONG_ENOUGH: Final[Mapping[Needs, frozenset[Kind]]] = {
    # Moves money or lets it move again: a code can be talked out of somebody, and relayed by another site.
    Needs.MONEY: frozenset({Kind.PASSKEY}),
    # A fresh ceremony over exactly this act; to read of a person, or to take the log away, is one too.
    Needs.ACT: frozenset({Kind.PASSKEY, Kind.CODE}),
    # Starts a session.
    Needs.ENTER: frozenset({Kind.PASSKEY, Kind.CODE}),
    # Breaks the glass: a key out of the safe, and no other.
    Needs.SEALED: frozenset({Kind.SEALED}),
    # Begins a registration, which a second person decides: a fresh ceremony, where one is possible.
    Needs.ENROL: frozenset({Kind.PASSKEY, Kind.CODE}),
}
