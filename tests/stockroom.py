"""The exchange of `tests.exchange`, made once and lent to one test after another; none leaves a trace.

Making it takes some forty actions, more than most tests that look at it do themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django.db import connection, models, transaction

from core import clock
from core.postgres import sessions
from engine_bridge.adapters import vitals
from tests.exchange import HEARD, Exchange, stock

YOUNG: Final = timedelta(minutes=1)
"""Tests take it to be of this moment: prices, sessions and requests have times."""


class Stockroom:
    """One database with the exchange in it, for this worker. `admin` runs a statement outside of it."""

    def __init__(self, template: str, admin: Callable[[str], None]) -> None:
        self._template, self._admin = template, admin
        self._name = ""
        self._made: tuple[datetime, Exchange] | None = None

    @contextmanager
    def lent(self) -> Iterator[Exchange]:
        """The exchange inside a transaction that is rolled back, as pytest-django's `db` is."""
        before = connection.settings_dict["NAME"]
        connection.close()
        try:
            exchange = self._ready()
            connection.settings_dict["NAME"] = self._name
            point: Any = transaction.atomic(durable=True)
            point._from_testcase = True  # so that actions, which are durable, may run inside
            point.__enter__()
            try:
                refresh(exchange)
                yield exchange
                if not connection.needs_rollback:
                    connection.check_constraints()
            finally:
                transaction.set_rollback(True)
                point.__exit__(None, None, None)
        finally:
            connection.close()
            connection.settings_dict["NAME"] = before

    def source(self) -> tuple[str, Exchange]:
        """Its database, which nobody is connected to, to be cloned, and what is in it."""
        before = connection.settings_dict["NAME"]
        connection.close()
        try:
            exchange = self._ready()
        finally:
            connection.settings_dict["NAME"] = before
        sessions.end_resting()
        return self._name, exchange

    def close(self) -> None:
        """Drop the database."""
        if self._name:
            sessions.end_resting()
            self._admin(f'DROP DATABASE "{self._name}" WITH (FORCE)')
        self._name, self._made = "", None

    def _ready(self) -> Exchange:
        now = clock.now()
        if self._made is None or now - self._made[0] > YOUNG:
            self.close()
            self._name = f"stock_{uuid4().hex[:12]}"
            self._admin(f'CREATE DATABASE "{self._name}" TEMPLATE "{self._template}" STRATEGY file_copy')
            connection.settings_dict["NAME"] = self._name
            self._made = now, stock(now)
            connection.close()
        return self._made[1]


def refresh(exchange: Exchange) -> None:
    """What an earlier test has seen of the rows, or done to them, is forgotten."""
    staff = exchange.staff
    people = [getattr(staff, each.name).identity for each in fields(staff)]
    rows = [getattr(exchange, each.name) for each in fields(exchange)]
    for row in (*people, exchange.treasury.tom, *rows):
        if isinstance(row, models.Model):
            row.refresh_from_db()
    vitals.leave(HEARD, now=clock.now())
