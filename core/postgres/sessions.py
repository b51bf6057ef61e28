"""Sessions with PostgreSQL that outlive the request, task or thread that began them.

To begin one takes the server 3.5 ms, and in a new one every plan, trigger and catalogue row is made ready
anew. So whoever is done gives theirs back, as bare as a new one, and whoever comes next takes it.

Nobody waits behind a server that is away: a session is begun in the thread that needs it, and where that
fails, it is told so at once.
"""

from __future__ import annotations

import atexit
import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus

AGE_MAX_S: Final = 600.0
"""What a session has cached grows, and who may log in is asked when it begins: none is kept for longer."""
REST_MAX_S: Final = 60.0
PATIENCE_S: Final = 4.0
"""How long somebody waits for another to give theirs back: as long as for a lock."""
_BARE: Final = (
    b"SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all();"
    b" DISCARD TEMP; DISCARD SEQUENCES"
)
"""DISCARD ALL, but for the plans: they are what it is kept for, and hold nobody's data."""
_AS_BEGUN: Final = (None, None, None)

Place: TypeAlias = "weakref.finalize[[], Session]"


class NoSessionFree(psycopg.OperationalError):
    """All that this process may have are in use, and none was given back in time."""


class Session(psycopg.Connection[Any]):
    """One session; its place is free again once it is closed, or lost."""

    begun_s: float
    given_back_s: float
    home: Sessions
    place: Place

    def close(self) -> None:
        """End it."""
        super().close()
        self.place()

    def is_there(self) -> bool:
        """Whether the server has said nothing since it was given back, as it does before it ends one.

        That costs no message to it. A server that is gone without a word is noticed by the next statement.
        """
        if self.closed:
            return False
        heard = select.poll()
        heard.register(self.fileno(), select.POLLIN)
        return not heard.poll(0)

    def become_bare(self) -> bool:
        """Take off it whatever was set, locked, declared or listened to; whether that was possible."""
        if self.closed or self.pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        if (self.isolation_level, self.read_only, self.deferrable) != _AS_BEGUN:
            return False
        return self.pgconn.exec_(_BARE).status == ExecStatus.COMMAND_OK


class Sessions:
    """Those of this process with one database as one role: never more at once than `at_once`."""

    def __init__(self, at_once: int, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._resting: list[Session] = []  # the last to be given back is the first to be taken
        self._lock = threading.Lock()
        # A queue, since places come free where objects are collected, which may be in the midst of anything.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(at_once):
            self._free()

    def take(self, begin: Callable[[], Session]) -> Session:
        """One that rested, or a new one; NoSessionFree, or whatever `begin` raises."""
        try:
            self._places.get(timeout=self._patience_s)
        except Empty:
            raise NoSessionFree(f"no session came free within {self._patience_s:g} s") from None
        try:
            session = self._rested() or begin()
        except BaseException:
            self._free()
            raise
        session.home, session.place = self, weakref.finalize(session, self._free)
        session.place.atexit = False
        return session

    def give_back(self, session: Session) -> None:
        """Keep it for the next, or end it where it is broken, old, or in the midst of something."""
        session.given_back_s = now_s = time.monotonic()
        if now_s - session.begun_s > AGE_MAX_S or not session.become_bare():
            session.close()
            return
        with self._lock:
            enough = [each for each in self._resting if now_s - each.given_back_s > REST_MAX_S]
            self._resting = [each for each in self._resting if each not in enough] + [session]
        session.place()
        _end(enough)

    def end_resting(self) -> None:
        """End those that nobody uses."""
        with self._lock:
            resting, self._resting = self._resting, []
        _end(resting)

    def _free(self) -> None:
        self._places.put(None)

    def _rested(self) -> Session | None:
        while True:
            with self._lock:
                if not self._resting:
                    return None
                session = self._resting.pop()
            if session.is_there():
                return session
            session.close()


def begin(parameters: Mapping[str, Any]) -> Session:
    """A new session; whatever psycopg raises."""
    session = Session.connect(**parameters)
    session.begun_s = time.monotonic()
    return session


def of(database: tuple[str, ...], at_once: int) -> Sessions:
    """This process's sessions with that database."""
    with _making:
        found = _known.get(database)
        if found is None:
            found = _known[database] = Sessions(at_once)
        return found


def end_resting() -> None:
    """End whatever rests in this process: nobody is connected who does nothing."""
    with _making:
        known = list(_known.values())
    for sessions in known:
        sessions.end_resting()


def _end(sessions: list[Session]) -> None:
    for session in sessions:
        with suppress(psycopg.Error):
            session.close()


def _forget() -> None:
    """In a forked process: what lies here is the parent's. psycopg ends no session of another process."""
    global _making  # another thread may have held it as the process was forked
    _making = threading.Lock()
    _known.clear()


_making = threading.Lock()
_known: Final[dict[tuple[str, ...], Sessions]] = {}
atexit.register(end_resting)
os.register_at_fork(after_in_child=_forget)
