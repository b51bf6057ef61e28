"""Asking the edge about the bearer of a token (get-identity): kept for minutes, and never in anybody's way.

One desk per process. A request waits for the network only when nothing recent enough is known, three seconds
at most, and few at a time; while the edge hangs, one question in five seconds is all that is asked of it. The
last answer serves as long as it is within its age, and no longer.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from typing import Final

import httpx

from core.access.adapters import pinned
from core.access.domain.postures import AnotherPerson, BadAnswer, Posture, read
from core.access.domain.tokens import User

log = logging.getLogger(__name__)

FRESH_S: Final = 300.0
"""How long an answer serves."""
AGAIN_S: Final = 5.0
"""How soon the edge is asked again about the same token, and after it has failed, about any."""
ASKING_MAX: Final = 4
WAITING_MAX: Final = 8
KEPT_MAX: Final = 2000
COOKIE: Final = "CF_Authorization"
IDENTITY_PATH: Final = "/cdn-cgi/access/get-identity"
_DENIED: Final = frozenset({400, 401, 403})


class Denied(ValueError):
    """The edge itself says that this token has no session any more, or that it is another's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the edge said, and how many seconds ago it was asked."""

    posture: Posture
    age_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """For the health probe: seconds since the edge last answered, and what went wrong since, if anything."""

    answered_s: float
    error: str


@dataclass(frozen=True, slots=True)
class _Kept:
    posture: Posture | None
    at: float


class Desk:
    """Answers by token. `ask` takes a token and gives the raw body; `monotonic` never goes back."""

    def __init__(
        self,
        ask: Callable[[str], bytes],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        timeout_s: float = pinned.TIMEOUT_S,
    ) -> None:
        self._ask, self._monotonic, self._timeout_s = ask, monotonic, timeout_s
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(ASKING_MAX, thread_name_prefix="access-identity")
        self._kept: dict[bytes, _Kept] = {}
        self._open: dict[bytes, Future[None]] = {}
        self._waiting = 0
        self._failed_at = self._answered_at = -float("inf")
        self._error = ""

    def of(self, token: str, who: User, *, within_s: float = FRESH_S) -> Answer | None:
        """What is known of the bearer: not older than `within_s` if the edge answers, than FRESH_S if not.

        None where nothing is known. The caller has verified the token and holds no open transaction.
        """
        key = hashlib.sha256(token.encode()).digest()
        with self._lock:
            kept, moment = self._kept.get(key), self._monotonic()
            # What has just been asked is not asked again, whatever came of it.
            serves_s = max(within_s, AGAIN_S) if kept is not None and kept.posture else AGAIN_S
            if (kept is not None and moment - kept.at < serves_s) or moment - self._failed_at < AGAIN_S:
                return _answer(kept, moment)
            question = self._open.get(key) or self._begin(key, token, who)
            if question is None or self._waiting >= WAITING_MAX:
                return _answer(kept, moment)
            self._waiting += 1
        try:
            question.result(self._timeout_s)
        except TookTooLong:
            with self._lock:
                self._failed_at, self._error = self._monotonic(), "no answer in time"
        finally:
            with self._lock:
                self._waiting -= 1
        with self._lock:
            return _answer(self._kept.get(key), self._monotonic())

    def standing(self) -> Standing:
        """How the desk is doing."""
        with self._lock:
            return Standing(self._monotonic() - self._answered_at, self._error)

    def _begin(self, key: bytes, token: str, who: User) -> Future[None] | None:
        """Start asking, unless the edge is being asked enough already; the lock is held."""
        if len(self._open) >= ASKING_MAX:
            return None
        self._open[key] = question = self._pool.submit(self._find_out, key, token, who)
        return question

    def _find_out(self, key: bytes, token: str, who: User) -> None:
        began = self._monotonic()
        posture: Posture | None = None
        failed, is_outage = "the question broke off", False  # unless one of these says what it was
        try:
            posture, failed = read(self._ask(token), who=who), ""
        except (Denied, AnotherPerson) as error:
            # Not an outage: the answer to this token. What was known of it counts no longer.
            failed = ""
            log.warning("get-identity about %s: %s", who.subject, error)
        except (httpx.HTTPError, OSError, BadAnswer, pinned.BadStatus, pinned.BadBody) as error:
            failed, is_outage = f"{type(error).__name__}: {error}"[:200], True
            log.warning("get-identity does not answer: %s", failed)
        finally:
            with self._lock:
                del self._open[key]
                if failed:
                    self._failed_at, self._error = self._monotonic(), failed
                else:
                    self._answered_at, self._error = self._monotonic(), ""
                if not is_outage:
                    self._keep(key, _Kept(posture, began))

    def _keep(self, key: bytes, kept: _Kept) -> None:
        self._kept.pop(key, None)
        self._kept[key] = kept
        while self._kept and (len(self._kept) > KEPT_MAX or self._is_over(next(iter(self._kept.values())))):
            del self._kept[next(iter(self._kept))]

    def _is_over(self, kept: _Kept) -> bool:
        return self._monotonic() - kept.at >= FRESH_S


def _answer(kept: _Kept | None, moment: float) -> Answer | None:
    if kept is None or kept.posture is None or moment - kept.at >= FRESH_S:
        return None
    return Answer(kept.posture, moment - kept.at)


def asker(team_url: str, *, timeout_s: float = pinned.TIMEOUT_S) -> Callable[[str], bytes]:
    """The question, to the team's own host and no other: it carries the person's token."""

    def ask(token: str) -> bytes:
        headers = {"Cookie": f"{COOKIE}={token}"}
        try:
            return pinned.get(team_url + IDENTITY_PATH, headers=headers, timeout_s=timeout_s)
        except pinned.BadStatus as error:
            if error.status in _DENIED:
                raise Denied(str(error)) from error
            raise

    return ask
