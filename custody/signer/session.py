"""A login to a token: one PKCS#11 session for life, found again when it is lost.

Facts that shape this file: python-pkcs11 asks the module for no locking; the login belongs to the process and
ends with the session that made it; private keys of a lost login look as if they were missing. So: locking is
asked for, one login session is kept open, and a missing key after earlier success means "log in again".
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pkcs11

from custody.signer.module import LockingLibrary
from custody.signer.refusals import Refused

LOGIN_TRIES: Final = 5
LOGIN_WAIT_S: Final = 0.05

T = TypeVar("T")


class WrongToken(RuntimeError):
    """The folder holds no token of that name, or more than one."""


class WrongPin(WrongToken):
    """The token refused the PIN."""


class Session:
    """One logged-in token, by its label. Not for several threads. `_found`: handles of this login."""

    def __init__(self, *, module: str, name: str, pin: str) -> None:
        self.name = name
        self._pin: str | None = pin
        self._found: dict[object, Any] = {}
        try:
            self._library = LockingLibrary(module)
        except pkcs11.PKCS11Error as error:
            raise self._cannot_open(error) from None
        for attempt in range(LOGIN_TRIES):
            try:
                self._library.initialize()
                self._log_in(pin)
                break
            except WrongPin:
                self._library.finalize()  # and never again by itself
                raise
            except (pkcs11.PKCS11Error, WrongToken) as error:
                self._library.finalize()
                if attempt == LOGIN_TRIES - 1:
                    raise self._cannot_open(error) from None
                # Another process logging in rewrites the token's file, and it is read half-written.
                time.sleep(LOGIN_WAIT_S * 2**attempt)

    def close(self) -> None:
        """Log out and leave the module."""
        with contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()
        self._library.finalize()

    def _cannot_open(self, error: Exception) -> WrongToken:
        return WrongToken(f"{self.name} cannot be opened: {type(error).__name__} {error}".strip())

    def enter(self, pin: str) -> None:
        """Another PIN, after the token refused the one before; WrongPin where it refuses this one too."""
        with contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()
        self._found.clear()
        try:
            self._log_in(pin)
        except pkcs11.PKCS11Error as error:
            raise self._cannot_open(error) from None
        self._pin = pin

    def _log_in(self, pin: str) -> None:
        slots = self._library.get_slots(token_present=True)
        tokens = [token for token in (slot.get_token() for slot in slots) if token.label == self.name]
        if len(tokens) != 1:
            raise WrongToken(f"{len(tokens)} tokens are named {self.name}")
        serial = tokens[0].serial.decode("ascii", "replace").strip()
        if getattr(self, "serial", serial) != serial:
            raise WrongToken(f"{self.name} is another token than before: {serial}")
        self.serial = serial
        try:
            self._session = tokens[0].open(rw=True, user_pin=pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLocked) as error:
            raise WrongPin(f"{self.name} cannot be opened: {type(error).__name__}") from None

    def _steadily(self, act: Callable[[], T]) -> T:
        """Do it; after a failure log in again and do it once more. A lost login looks like a missing key."""
        try:
            return act()
        except pkcs11.PKCS11Error:
            self._log_in_again()
        try:
            return act()
        except pkcs11.PKCS11Error as error:
            raise Refused("SIGNER_TOKEN_FAILED", type(error).__name__) from None

    def _log_in_again(self) -> None:
        self._found.clear()
        if self._pin is None:
            raise Refused("SIGNER_TOKEN_FAILED", "the PIN was refused; an operator must enter the right one")
        with contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()
        try:
            self._log_in(self._pin)
        except (pkcs11.PKCS11Error, WrongToken) as error:
            if isinstance(error, WrongPin):
                # Never try again by itself: a token locks itself after a few wrong PINs, for good.
                self._pin = None
            raise Refused("SIGNER_TOKEN_FAILED", f"{type(error).__name__} {error}".strip()) from None
