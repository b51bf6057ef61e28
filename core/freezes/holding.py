"""Acts under way, and the freezes that forbid them: once a freeze has been answered, no such act is kept.

An act looks twice: where it begins, to say no early, and when everything else of it is done. The second time
it holds what it asks about, beside others, until it is kept or undone. A freeze is in force from its commit
on, and whoever pulls it then waits, before anybody is told, for the acts that hold its scope; whatever looks
later sees it. So none of them keeps a freeze from being pulled, and each holds its scopes for no longer than
its commit takes: they are its last locks, and nobody who has them goes for another.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Set
from typing import Final

from django.db import DatabaseError, InterfaceError, connection

from core import busy, endings

_LOCKS: Final = 0x7374616E  # the namespace of advisory locks on what acts under way must find free


def hold_beside(scopes: Set[str]) -> None:
    """Until the open transaction ends, no freeze of these scopes that is pulled meanwhile is answered."""
    with connection.cursor() as cursor:
        cursor.execute(_asked("pg_advisory_xact_lock_shared", scopes))


def await_others(scopes: Set[str]) -> None:
    """Return when every act is over that held one of these scopes; OutcomeUnknown where that takes too long.

    Asked outside a transaction, so that it holds nothing itself. What it says then is true of the acts; the
    freeze is in force.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(_asked("pg_advisory_xact_lock", scopes, first=[endings.PATIENTLY]))
    except (DatabaseError, InterfaceError) as error:
        raise busy.OutcomeUnknown("the freeze is in force, and acts before it may be under way") from error


def _asked(lock: str, scopes: Set[str], *, first: list[str] | None = None) -> str:
    return f"SELECT {', '.join([*(first or []), *calls(lock, numbers(scopes))])}"


def numbers(scopes: Set[str]) -> list[int]:
    """Under which these are locked, in one order for everybody. Two scopes that share a number are waited for
    together now and then.
    """
    return sorted({zlib.crc32(scope.encode()) % 2**31 for scope in scopes})


def calls(function: str, of: Iterable[int]) -> list[str]:
    """One of PostgreSQL's functions on advisory locks, for each of these numbers."""
    return [f"{function}({_LOCKS}, {number})" for number in of]
