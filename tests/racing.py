"""Doing things at the same moment: real threads, each with a connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import Model

from core.refusals import Refused

T = TypeVar("T")


def at_once(*deeds: Callable[[], T]) -> list[T | Refused]:
    """Do all of them, starting together; refusals are results like any other, anything else is raised."""
    barrier = threading.Barrier(len(deeds))

    def run(deed: Callable[[], T]) -> T | Refused:
        try:
            connection.ensure_connection()
            barrier.wait()
            return deed()
        except Refused as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


def done(results: list[T | Refused]) -> list[T]:
    """Those that were not refused."""
    return [result for result in results if not isinstance(result, Refused)]


def refused(results: list[T | Refused]) -> list[Refused]:
    """Those that were."""
    return [result for result in results if isinstance(result, Refused)]


def queued(row: Model, *deeds: Callable[[], T]) -> list[T | Refused]:
    """Do them from threads of their own while `row` is locked, each once the one before waits; then let go.

    So each has read what it reads without a lock, and they get the lock in this order.
    """

    def run(deed: Callable[[], T]) -> T | Refused:
        try:
            return deed()
        except Refused as refusal:
            return refusal
        finally:
            connection.close()

    begun: list[Future[T | Refused]] = []
    with ThreadPoolExecutor(len(deeds)) as pool:
        with transaction.atomic():
            type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)
            for deed in deeds:
                begun.append(pool.submit(run, deed))
                until_waiting(begun)
        return [one.result() for one in begun]


def closing(deed: Callable[[], T]) -> Callable[[], T]:
    """The deed for a thread of its own, whose connection ends with it."""

    def run() -> T:
        try:
            return deed()
        finally:
            connection.close()

    return run


def until_waiting(begun: Sequence[Future[Any]]) -> None:
    """Return once all of these that are not done wait for a lock in the database that is in use here."""
    waiting = -1
    while waiting < sum(not one.done() for one in begun):
        time.sleep(0.01)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_stat_clear_snapshot()"
            )  # else a transaction sees its first one for ever
            cursor.execute(
                "SELECT count(DISTINCT l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
                " WHERE NOT l.granted AND a.datname = current_database()"
            )
            (waiting,) = cursor.fetchone()
