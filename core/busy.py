"""What is known of an act that the database broke off: that nothing was done, or that nobody can say.

A deadlock, a lock or a statement that took too long, a connection that was lost: as long as the act has not
asked to be kept, all of it vanishes. Only where the connection is lost while the database keeps it can nobody
tell from here whether it was kept.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator, Mapping
from typing import Final

from django.db import InterfaceError, OperationalError
from django.db.models import Model

TRIES: Final = 4
_PAUSE_S: Final = 0.05
_AGAIN: Final = frozenset({"40P01", "40001"})
_SAID_BY_COMMIT: Final = ("23", "40", "55", "P0")
"""Classes of errors with which the database says itself that it has kept nothing."""


class OutcomeUnknown(OperationalError):
    """The connection was lost while the act was being kept: it happened whole, or not at all."""


def is_busy(error: BaseException | None) -> bool:
    """Whether the database was too busy, or away: another time the same may go through."""
    return isinstance(error, OperationalError | InterfaceError)


def sqlstate(error: BaseException) -> str:
    """The database's own code; empty where it said nothing any more."""
    return getattr(error.__cause__, "sqlstate", None) or ""


def is_kept_perhaps(error: BaseException) -> bool:
    """Whether an error at COMMIT leaves open if the act was kept: whatever ends a connection does."""
    return is_busy(error) and not sqlstate(error).startswith(_SAID_BY_COMMIT)


def may_repeat(error: BaseException, given: Mapping[str, object], *, tried: int) -> bool:
    """Whether to do the act once more, from the beginning: two acts stood in each other's way, nothing of it
    is left, and what it was given is as it was. A lock that was waited for in vain has cost time enough.
    """
    used_up = any(isinstance(value, Model | Iterator | io.IOBase) for value in given.values())
    return tried < TRIES and sqlstate(error) in _AGAIN and not used_up


def pause(tried: int) -> None:
    """Wait a moment, each time longer, and not as long as whoever was in the way."""
    time.sleep(_PAUSE_S * tried * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
