"""The reconciler's own road to the signers: word of a break goes past the worker, who could keep it back.

Good word does not go this way. Without it the lane shuts by itself, so whoever keeps that back gains nothing,
and signers hear of the reconciler only where something is wrong.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from custody.adapters import signer_client
from kernel import canonical

log = logging.getLogger(__name__)

Word = Mapping[str, canonical.Value]


class Road:
    """The sockets of the signers. A signer that does not answer keeps neither the reconciler nor another
    signer waiting: each is spoken to by a thread of its own, and one at most.
    """

    def __init__(self, signers: Path) -> None:
        self._signers, self._room = signers, threading.Condition()
        self._waiting: dict[tuple[str, str], Word] = {}  # by token and wallet
        self._under_way: set[str] = set()

    def say(self, wallet: str, tokens: Collection[str], word: Word | None) -> None:
        """The newest word about a wallet, which goes to these signers now; None where nothing is wrong."""
        with self._room:
            for token in tokens:
                self._waiting.pop((token, wallet), None)
                if word is not None:
                    self._waiting[token, wallet] = word
        self.go()

    def go(self) -> None:
        """Set out, if nobody has, to each signer for which word waits: it was silent, or is told just now."""
        with self._room:
            begins = {token for token, _ in self._waiting} - self._under_way
            self._under_way |= begins
        for token in sorted(begins):
            threading.Thread(target=self._bring, args=[token], daemon=True).start()

    def wait(self) -> None:
        """Until everybody who set out is back."""
        with self._room:
            self._room.wait_for(lambda: not self._under_way)

    def _bring(self, token: str) -> None:
        while (found := self._next(token)) is not None:
            (_, wallet), word = found
            is_told = self._tell(token, word)
            with self._room:
                if not is_told:  # the next time that somebody sets out
                    self._back(token)
                    return
                if self._waiting.get((token, wallet)) is word:  # else newer word waits by now
                    del self._waiting[token, wallet]

    def _next(self, token: str) -> tuple[tuple[str, str], Word] | None:
        """Word that waits for this signer; where none does, its thread is done."""
        with self._room:
            found = next((one for one in self._waiting.items() if one[0][0] == token), None)
            if found is None:
                self._back(token)
            return found

    def _back(self, token: str) -> None:
        self._under_way.discard(token)
        self._room.notify_all()

    def _tell(self, token: str, word: Word) -> bool:
        try:
            declined = signer_client.attest(self._signers, token, word)
        except Exception as error:  # noqa: BLE001 - whatever it was, the signer is tried again
            log.warning("%s was not told of a break: %s", token, error or type(error).__name__)
            return False
        if declined:
            log.error("%s took no word of a break: %s %s", token, declined.code, declined.detail)
        return declined is None
