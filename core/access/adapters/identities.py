"""Asking the edge about the bearer of a token (get-identity): kept for minutes, and never in anybody's way.

One desk per process, over one shelf that all share: they say the same of a device, and one of them asks. A
request waits for the network only when nothing recent enough is known, three seconds at most, and few at a
time; while the edge hangs, one question in five seconds is all that is asked of it. The last answer serves as
long as it is within its age, and no longer. Without the shelf each process goes by what it heard itself,
within the same bounds.
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
from core.access.adapters.shelf import KEPT_S, Kept, Shelf, ShelfDown
from core.access.domain.postures import AnotherPerson, BadAnswer, Posture, read
from core.access.domain.tokens import User

log = logging.getLogger(__name__)

FRESH_S: Final = float(KEPT_S)
"""How long an answer serves."""
AGAIN_S: Final = 5.0
"""How soon the edge is asked again about the same token, and after it has failed, about any."""
ASKING_MAX: Final = 4
WAITING_MAX: Final = 8
LOOK_S: Final = 0.05
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
    """For the health probe: seconds since the edge last answered, what went wrong since, if anything, and why
    processes do not share what they hear, if they do not.
    """

    answered_s: float
    error: str
    apart: str


class Desk:
    """Answers by token. `ask` takes a token and gives the raw body; `clock` is Unix time, as on the shelf."""

    def __init__(
        self,
        ask: Callable[[str], bytes],
        *,
        shelf: Shelf,
        clock: Callable[[], float] = time.time,
        timeout_s: float = pinned.TIMEOUT_S,
    ) -> None:
        self._ask, self._shelf, self._clock, self._timeout_s = ask, shelf, clock, timeout_s
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(ASKING_MAX, thread_name_prefix="access-identity")
        self._open: dict[str, Future[None]] = {}
        self._own: dict[str, Kept] = {}  # what this process heard or read, for when the shelf is away
        self._waiting = 0
        self._failed_at = self._answered_at = self._shut_at = -float("inf")
        self._error = self._apart = ""

    def of(self, token: str, who: User, *, within_s: float = FRESH_S, since: float = 0.0) -> Answer | None:
        """What is known of the bearer: not older than `within_s` if the edge answers, than FRESH_S if not.

        None where nothing is known. Nothing that was asked before `since` is served. The caller has verified
        the token and holds no open transaction.
        """
        key = hashlib.sha256(token.encode()).hexdigest()
        kept, moment = self._look(key, since), self._clock()
        # What has just been asked is not asked again, whatever came of it.
        serves_s = max(within_s, AGAIN_S) if kept is not None and kept.posture else AGAIN_S
        if kept is not None and moment - kept.at < serves_s:
            return _answer(kept, moment)
        with self._lock:
            if moment - self._failed_at < AGAIN_S:
                return _answer(kept, moment)
            question = self._open.get(key) or self._begin(key, token, who)
            if question is None or self._waiting >= WAITING_MAX:
                return _answer(kept, moment)
            self._waiting += 1
        try:
            question.result(self._timeout_s)
        except TookTooLong:
            with self._lock:
                self._failed_at, self._error = self._clock(), "no answer in time"
        finally:
            with self._lock:
                self._waiting -= 1
        return _answer(self._look(key, since), self._clock())

    def standing(self) -> Standing:
        """How the desk is doing."""
        with self._lock:
            return Standing(self._clock() - self._answered_at, self._error, self._apart)

    def _look(self, key: str, since: float) -> Kept | None:
        """What was heard of this token and may be served: by anybody, or by us while the shelf is away. One
        that cannot be reached is left alone a while.
        """
        kept = None
        if not self._is_shut(self._clock()):
            try:
                kept, failed_at = self._shelf.look(key)
            except (ShelfDown, OSError) as error:
                self._shut(error)
            else:
                self._heard(key, kept, failed_at)
        if self._is_shut(self._clock()):
            with self._lock:
                kept = self._own.get(key)
        return None if kept is None or kept.at <= since else kept

    def _heard(self, key: str, kept: Kept | None, failed_at: float) -> None:
        """Take in what lay on the shelf: what another process heard tells of the edge as well."""
        with self._lock:
            self._apart, self._failed_at = "", max(self._failed_at, failed_at)
            if kept is None:
                return
            self._keep(key, kept)
            if kept.at > self._answered_at:
                self._answered_at = kept.at
                if kept.at >= self._failed_at:
                    self._error = ""

    def _keep(self, key: str, kept: Kept) -> None:
        """Remember the newest for ourselves, as long as it could serve; the lock is held."""
        if key not in self._own or self._own[key].at <= kept.at:
            self._own[key] = kept
        for old in [each for each, one in self._own.items() if kept.at - one.at > FRESH_S]:
            del self._own[old]

    def _begin(self, key: str, token: str, who: User) -> Future[None] | None:
        """Start asking, unless the edge is being asked enough already; the lock is held."""
        if len(self._open) >= ASKING_MAX:
            return None
        self._open[key] = question = self._pool.submit(self._find_out, key, token, who)
        return question

    def _find_out(self, key: str, token: str, who: User) -> None:
        try:
            if self._is_ours(key):
                self._question(key, token, who)
            else:
                self._wait_for_another(key)
        except (ShelfDown, OSError) as error:
            self._shut(error)
        finally:
            with self._lock:
                del self._open[key]

    def _is_ours(self, key: str) -> bool:
        """Whether this process asks, and no other does; without the shelf each asks for itself."""
        if self._is_shut(self._clock()):
            return True
        try:
            return self._shelf.claim(key, for_s=self._timeout_s + 1)
        except (ShelfDown, OSError) as error:
            self._shut(error)
            return True

    def _question(self, key: str, token: str, who: User) -> None:
        began = self._clock()
        kept, failed = None, "the question broke off"  # unless one of these says what it was
        try:
            kept, failed = Kept(read(self._ask(token), who=who), began), ""
        except (Denied, AnotherPerson, pinned.TooLong) as error:
            # Not an outage: the answer to this token. What was known of it counts no longer. One person in a
            # thousand groups must not have everybody's questions wait.
            kept, failed = Kept(None, began), ""
            log.warning("get-identity about %s: %s", who.subject, error)
        except (httpx.HTTPError, OSError, BadAnswer, pinned.BadStatus, pinned.BadBody) as error:
            failed = f"{type(error).__name__}: {error}"[:200]
            log.warning("get-identity does not answer: %s", failed)
        finally:
            with self._lock:
                moment = self._clock()
                if failed:
                    self._failed_at, self._error = moment, failed
                else:
                    self._answered_at, self._error = moment, ""
                if kept is not None:
                    self._keep(key, kept)
            if self._is_shut(moment):
                pass
            elif kept is not None:
                self._shelf.put(key, kept)
            else:
                self._shelf.failed(key, moment)

    def _wait_for_another(self, key: str) -> None:
        """Some other process asks; it leaves what it hears on the shelf."""
        until = time.monotonic() + self._timeout_s
        while time.monotonic() < until and self._shelf.is_asked(key):
            time.sleep(LOOK_S)

    def _shut(self, error: Exception) -> None:
        log.warning("what the edge said cannot be shared: %s", type(error).__name__)
        with self._lock:
            self._shut_at, self._apart = self._clock(), f"Redis: {type(error).__name__}"

    def _is_shut(self, moment: float) -> bool:
        return moment - self._shut_at < AGAIN_S


def _answer(kept: Kept | None, moment: float) -> Answer | None:
    """The answer within its age. One from a clock far before ours is none: nobody knows how old it is."""
    if kept is None or kept.posture is None or not -AGAIN_S < moment - kept.at < FRESH_S:
        return None
    return Answer(kept.posture, max(0.0, moment - kept.at))


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
