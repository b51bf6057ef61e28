"""The signer's door while nobody has entered the PIN: it answers, signs nothing, and waits for an operator.

The PIN comes over the same socket (`custody.signer.ask … unlock`), and only from the signer's own user or
from root: the programs that may ask for signatures may not guess at it, and who may enter it may not ask for
signatures. A wrong PIN does not end the process, so no supervisor starts it again and again with the same
wrong one until the token locks itself for good.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Final

from custody.signer import requests, starting
from custody.signer.disk import MemoryInUse
from custody.signer.refusals import Refused
from custody.signer.requests import Message
from custody.signer.session import WrongPin, WrongToken
from custody.signer.signing import Aside, Signer
from kernel import canonical
from kernel.members import is_version

ROOT: Final = 0


class Door:
    """A signer that may still be locked."""

    def __init__(
        self, options: argparse.Namespace, *, own_user: int, log: Callable[[str], None], aside: Aside
    ) -> None:
        self.signer: Signer | None = None
        self._aside = aside
        self._options, self._operators, self._log = options, {own_user, ROOT}, log
        self._why = "nobody has entered the PIN"

    def open(self, pin: str) -> None:
        """Log in and become a signer. WrongPin, Refused and what else a start can meet leave it locked."""
        try:
            self.signer = starting.start(self._options, pin)
        except (WrongPin, Refused) as error:
            self._why = str(error)
            raise
        self.signer.aside = self._aside
        if cut := self.signer.journal.cut:
            self._log(f"cut {cut} bytes of a line that was never finished, and never answered for")

    @property
    def users(self) -> set[int]:
        """Who may speak to it at all."""
        return self._operators | {*self._options.allow_uid, *self._options.attest_uid}

    def standing(self) -> str:
        """For the log: which registry holds, and how it is."""
        if self.signer is None:
            return ""
        registry, state = self.signer.registry, self.signer.health()["state"]
        return f"registry={registry.version}/{registry.digest.hex()} state={state}"

    def answer(self, message: Mapping[str, canonical.Value], uid: int) -> Message:
        """The answer to one message of that user."""
        asked, token = message.get("type"), self._options.token
        try:
            if asked == "unlock":
                return self._unlock(message, uid)
            if uid not in self._options.allow_uid and asked not in ("health", "attest"):
                raise Refused("SIGNER_UNKNOWN_PEER", f"user {uid} may neither order nor ask for signatures")
            if self.signer is None and asked != "health":
                raise Refused("SIGNER_LOCKED", self._why)
        except Refused as refusal:
            return requests.said("refused", token, {"code": refusal.code, "detail": refusal.detail[:400]})
        if self.signer is not None:
            return self.signer.answer(message, str(uid), may_order=uid in self._options.allow_uid)
        return requests.said("health", token, {"state": "SIGNER_LOCKED", "why": self._why})

    def close(self) -> None:
        """Let go of what is open."""
        if self.signer is not None:
            self.signer.close()

    def _unlock(self, message: Mapping[str, canonical.Value], uid: int) -> Message:
        requests.exact(message, {"v", "type", "pin"})
        pin = message["pin"]
        if uid not in self._operators:
            raise Refused("SIGNER_NOT_OPERATOR", "the PIN is taken from the signer's own user only")
        if not is_version(message["v"], 1) or not isinstance(pin, str) or not pin:
            raise Refused("SIGNER_BAD_REQUEST", "version 1 of this has a PIN, text that is not empty")
        try:
            if self.signer is None:
                self.open(pin)
                self._log(f"unlocked {self.standing()}")
            else:
                starting.enter(self.signer.token, self._options, pin)
        except (WrongToken, MemoryInUse, OSError) as error:
            raise Refused("SIGNER_LOCKED", str(error)) from None
        return requests.said("unlocked", self._options.token, {})
