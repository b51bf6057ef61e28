"""Doing things at the same moment: real threads, each with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

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
