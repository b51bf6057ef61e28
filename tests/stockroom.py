"""Scenes made once by this worker and lent to one test after another; none leaves a trace.

Making one takes from a dozen actions to forty, more than most tests that look at it do themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias, TypeVar
from uuid import uuid4

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from core.postgres import sessions

YOUNG: Final = timedelta(minutes=1)
"""Tests take what was made for the moment to be of this moment: prices, sessions and requests have times."""
Made = TypeVar("Made")
Make: TypeAlias = Callable[[datetime], Made]


class Lend(Protocol):
    """Lend a test what `make` makes at that time, or made at most so long before."""

    def __call__(self, make: Make[Made], now: datetime, *, keeps: timedelta = YOUNG) -> Made: ...


@dataclass(frozen=True)
class _Kept:
    """The database that a scene is in, when it was made, and what its maker gave. Nobody writes to it."""

    database: str
    at: datetime
    made: Any


class Stockroom:
    """A database for each scene, for this worker. `admin` runs a statement outside of them."""

    def __init__(self, template: str, admin: Callable[[str], None]) -> None:
        self._template, self._admin = template, admin
        self._kept: dict[Make[Any], _Kept] = {}

    @contextmanager
    def lent(self, make: Make[Made], now: datetime, *, keeps: timedelta = YOUNG) -> Iterator[Made]:
        """The scene inside a transaction that is rolled back, as pytest-django's `db` is."""
        kept = self._ready(make, now, keeps)
        with _meant(kept.database):
            point: Any = transaction.atomic(durable=True)
            point._from_testcase = True  # so that actions, which are durable, may run inside
            point.__enter__()
            try:
                yield copy.deepcopy(kept.made)
                if not connection.needs_rollback:
                    connection.check_constraints()
            finally:
                transaction.set_rollback(True)
                point.__exit__(None, None, None)

    def source(self, make: Make[Made], now: datetime, *, keeps: timedelta = YOUNG) -> tuple[str, Made]:
        """Its database, which nobody is connected to, to be cloned, and what is in it."""
        kept = self._ready(make, now, keeps)
        sessions.end_resting()
        return kept.database, copy.deepcopy(kept.made)

    def close(self) -> None:
        """Drop the databases."""
        sessions.end_resting()
        for make in list(self._kept):
            self._drop(make)

    def _ready(self, make: Make[Any], now: datetime, keeps: timedelta) -> _Kept:
        """The scene as of `now`, or of a moment ago; one that is older, or of another time, is made anew."""
        kept = self._kept.get(make)
        if kept is not None and timedelta() <= now - kept.at <= keeps:
            return kept
        if kept is not None:
            sessions.end_resting()
            self._drop(make)
        name = f"stock_{uuid4().hex[:12]}"
        self._admin(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}" STRATEGY file_copy')
        with _meant(name):
            self._kept[make] = _Kept(name, now, make(now))
        return self._kept[make]

    def _drop(self, make: Make[Any]) -> None:
        self._admin(f'DROP DATABASE "{self._kept.pop(make).database}" WITH (FORCE)')


@contextmanager
def _meant(database: str) -> Iterator[None]:
    """The default connection is one with that database, also in threads to come; the one before waits."""
    waiting = connections[DEFAULT_DB_ALIAS]
    before = waiting.settings_dict["NAME"]
    waiting.settings_dict["NAME"] = database
    there = connections[DEFAULT_DB_ALIAS] = waiting.copy()
    try:
        yield
    finally:
        there.close()
        connections[DEFAULT_DB_ALIAS] = waiting
        waiting.settings_dict["NAME"] = before
