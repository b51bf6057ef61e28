"""The shape of a long-running loop: one leader by advisory lock, a beat, a clean end on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext

from django.db import OperationalError, connection

log = logging.getLogger(__name__)


def lock_key(name: str) -> int:
    """The advisory lock's number of a daemon."""
    return zlib.crc32(b"countersign/daemon/" + name.encode())


def lead(
    name: str,
    step: Callable[[], bool],
    *,
    interval_s: float,
    leading: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Call `step` until told to stop, while this process is the only leader of that name.

    `step` says whether it did something; then it is called again at once, else after `interval_s`. A lost
    database connection ends leadership (the lock went with it); the loop then waits to lead again. What only
    the leader may hold, such as a socket's place, is had in `leading`, from then to the end of leadership.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    leads = False
    with ExitStack() as held:
        while not stop.is_set():
            try:
                if not leads:
                    leads = _try_lock(name)
                    if leads:
                        log.info("%s leads", name)
                        held.enter_context(leading())
                busy = step() if leads else False
            except OperationalError:
                log.exception("%s lost the database", name)
                held.close()
                connection.close()
                leads = busy = False
            if not busy:
                stop.wait(interval_s)
    connection.close()


def _try_lock(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(name)])
        return bool(cursor.fetchone()[0])
