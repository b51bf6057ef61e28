"""A login to a token: one PKCS#11 session for life, found again when it is lost, and others to sign in.

Facts that shape this file: python-pkcs11 asks the module for no locking; a session is for one thread at a
time; the login belongs to the process and ends with the session that made it; private keys of a lost login
look as if they were missing. So: locking is asked for, one login session is kept open, and a missing key
after earlier success means "log in again".
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import pkcs11

from custody.signer.module import LockingLibrary
from custody.signer.refusals import Refused

LOGIN_TRIES: Final = 5
LOGIN_WAIT_S: Final = 0.05
HANGS_S: Final = 30.0  # whoever asked went away after half of it
ANSWERS_S: Final = 10.0  # and whoever holds the turn has not yet
PIN_REFUSED: Final = (
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
    pkcs11.PinExpired,
)

T = TypeVar("T")


class WrongToken(RuntimeError):
    """The folder holds no token of that name, or more than one."""


class WrongPin(WrongToken):
    """The token refused the PIN."""


class Session:
    """One logged-in token, by its label. `_found` are handles of this login, `_idle` sessions that were lent.

    Whoever uses the login's own session (`_since` when) holds `_alone`; others are lent to threads.
    """

    def __init__(self, *, module: str, name: str, pin: str) -> None:
        self.name, self._alone, self._since = name, threading.RLock(), math.inf
        self._pin: str | None = pin
        self._found: dict[object, Any] = {}
        self._idle: list[tuple[Any, dict[int, Any]]] = []
        self._out: dict[int, float] = {}  # since when a thread has a lent one
        self._stuck = math.nan  # since when its own session is in a use that nobody awaits any more
        try:
            self._library = LockingLibrary(module)
        except pkcs11.PKCS11Error as error:
            raise self._cannot_open(error) from None
        for attempt in range(LOGIN_TRIES):
            try:
                self._library.initialize()
                self._log_in(pin)
                break
            except (pkcs11.PKCS11Error, WrongToken) as error:
                self._library.finalize()
                if isinstance(error, WrongPin):  # and never again by itself
                    raise
                if attempt == LOGIN_TRIES - 1:
                    raise self._cannot_open(error) from None
                # Another process logging in rewrites the token's file, and it is read half-written.
                time.sleep(LOGIN_WAIT_S * 2**attempt)

    def close(self) -> None:
        """Log out and leave the module."""
        self._log_out()
        self._library.finalize()

    def _cannot_open(self, error: Exception) -> WrongToken:
        return WrongToken(f"{self.name} cannot be opened: {type(error).__name__} {error}".strip())

    def enter(self, pin: str) -> None:
        """Another PIN, after the token refused the one before; WrongPin where it refuses this one too."""
        with self._alone:
            self._log_out()
            try:
                self._log_in(pin)
            except pkcs11.PKCS11Error as error:
                raise self._cannot_open(error) from None
            self._pin = pin

    def _log_out(self) -> None:
        """What is lent is closed by whoever has it; while nothing is, so is what a failure left open."""
        old, self._idle = self._idle, []
        self._found.clear()
        for session in (self._session, *(session for session, _ in old)):
            _close(session)
        if not self._out:
            self._library.end_sessions(self._opened.slot.slot_id)

    def _log_in(self, pin: str) -> None:
        slots = self._library.get_slots(token_present=True)
        tokens = [token for token in (slot.get_token() for slot in slots) if token.label == self.name]
        if len(tokens) != 1:
            raise WrongToken(f"{len(tokens)} tokens are named {self.name}")
        serial = tokens[0].serial.decode("ascii", "replace").strip()
        if getattr(self, "serial", serial) != serial:
            raise WrongToken(f"{self.name} is another token than before: {serial}")
        self.serial, self._opened = serial, tokens[0]
        try:
            self._session = tokens[0].open(rw=True, user_pin=pin)
        except PIN_REFUSED as error:
            raise WrongPin(f"{self.name} cannot be opened: {type(error).__name__}") from None
        try:
            self._recognise()
        except WrongToken:
            _close(self._session)
            raise

    def _recognise(self) -> None:
        """WrongToken where this is another token than before, though its name and its serial are the same."""

    def check_answers(self, *, lent: bool = True) -> None:
        """Refuse where the token must be taken to hang: for so long, or since somebody stopped waiting."""
        since, stuck = min([self._since, *(self._out.values() if lent else ())]), self._since == self._stuck
        if stuck or since < time.monotonic() - HANGS_S:
            why = f"it has not answered for {ANSWERS_S if stuck else HANGS_S:.0f} s"
            raise Refused("SIGNER_TOKEN_FAILED", why)

    def in_time(self, act: Callable[[], T]) -> T:
        """Do what needs the token for whoever holds the turn; Refused where that takes too long.

        Nobody can end a call of the token. So another thread makes it, and others have their turn meanwhile.
        """
        self.check_answers(lent=False)
        done: Future[T] = Future()

        def attend() -> None:
            try:
                done.set_result(act())
            except BaseException as error:  # noqa: BLE001 - it is whoever asked that meets it
                done.set_exception(error)

        threading.Thread(target=attend, daemon=True).start()
        try:
            return done.result(ANSWERS_S)
        except TimeoutError:
            if self._since < time.monotonic() - ANSWERS_S / 2:
                self._stuck = self._since  # until this use ends, nobody else waits for it
            raise Refused("SIGNER_TOKEN_FAILED", "it does not answer, or is busy with what hangs") from None

    def _steadily(self, act: Callable[[], T]) -> T:
        """Do it alone in the login's session. For another session, see `_mended`."""
        with self._alone:
            self._since = time.monotonic()
            try:
                return self._mended(act)
            finally:
                self._since = math.inf

    def _mended(self, act: Callable[[], T]) -> T:
        """Do it; after a failure log in again and do it once more. A lost login looks like a missing key.

        Whoever logs in again ends what others do meanwhile: that says nothing of the token; they try again.
        """
        for attempt in range(LOGIN_TRIES):
            login = self._idle
            try:
                return act()
            except pkcs11.PKCS11Error as error:
                failed = type(error).__name__
            with self._alone:
                if self._idle is login:  # else another thread has done it
                    if attempt:
                        break
                    self._log_in_again()
        raise Refused("SIGNER_TOKEN_FAILED", failed)

    @contextlib.contextmanager
    def _lent(self) -> Iterator[tuple[Any, dict[int, Any]]]:
        """A session for one thread, and the handles of keys that were found in it. Opening it may hang."""
        with self._alone:
            login = self._idle
            lent = login.pop() if login else None
            self._out[threading.get_ident()] = time.monotonic()
        try:
            lent = lent or (self._opened.open(), {})
            yield lent
        finally:
            with self._alone:
                del self._out[threading.get_ident()]
                if lent and self._idle is login:
                    login.append(lent)
                elif lent:
                    _close(lent[0])

    def _log_in_again(self) -> None:
        if self._pin is None:
            raise Refused("SIGNER_TOKEN_FAILED", "the PIN was refused; an operator must enter the right one")
        self._log_out()
        try:
            self._log_in(self._pin)
        except (pkcs11.PKCS11Error, WrongToken) as error:
            # Never try again by itself: a token locks itself after a few wrong PINs, for good.
            self._pin = None if isinstance(error, WrongPin) else self._pin
            raise Refused("SIGNER_TOKEN_FAILED", f"{type(error).__name__} {error}".strip()) from None


def _close(session: Any) -> None:
    with contextlib.suppress(pkcs11.PKCS11Error):
        session.close()
