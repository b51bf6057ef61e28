"""The reconciler's word: signed with its key, dated, and on its way to the signers where it is of a break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.daemons.road import Road
from kernel import canonical, encodings, lane
from kernel.intent import time_text
from kernel.registry import Registry

BREAKS_MAX: Final = 10
"""Sentences in one answer; the log has all."""

_SECOND: Final = timedelta(seconds=1)

Message = Mapping[str, canonical.Value]


class Overtaken(Exception):
    """Signers would take the good word for older than a break that was said while it was found."""


class Voice:
    """One key. Its owner sees to it that one thread at a time speaks."""

    def __init__(self, *, key: Ed25519PrivateKey, registry: Registry, road: Road | None) -> None:
        self._key, self._registry, self._road = key, registry, road
        self._said: dict[str, tuple[datetime, bool]] = {}  # of a wallet: as of when, and whether all agreed

    def say(
        self,
        wallet: str,
        *,
        began: datetime,
        now: datetime,
        height: int,
        on_chain: int,
        in_books: int,
        unsound: Sequence[canonical.Value] = (),
        spent: Message | None = None,
    ) -> Message:
        """What a look that `began` then found, as the answer to whoever asked. Overtaken."""
        count = len(unsound) + (on_chain != in_books)
        payload = canonical.encode(
            {
                "v": 3,
                "kind": lane.ATTESTATION,
                "deployment": self._registry.deployment,
                "network": self._registry.network,
                "wallet": wallet,
                "height": height,
                "on_chain": str(on_chain),
                # No amount is below nothing; that it was is among what is wrong.
                "in_books": str(max(in_books, 0)),
                "breaks": count,
                "spent": spent or {},
                "time": time_text(self._time(wallet, began=began, now=now, agrees=not count)),
            }
        )
        signature = self._key.sign(lane.DOMAIN_TAG + payload)
        word = {"payload": encodings.base64url(payload), "signature": encodings.base64url(signature)}
        if self._road is not None:
            attest: Message = {"v": 1, "type": "attest", **word}
            self._road.say(wallet, self._registry.wallets[wallet].tokens, attest if count else None)
        return {
            "v": 1,
            "type": "reconciled",
            "wallet": wallet,
            "height": height,
            "on_chain": str(on_chain),
            "in_books": str(in_books),
            "breaks": list(unsound[:BREAKS_MAX]),
            **word,
        }

    def _time(self, wallet: str, *, began: datetime, now: datetime, agrees: bool) -> datetime:
        """Good word is as old as the look, which may have taken long; a break is of now.

        Signers take newer word only, by the second: so what is wrong is never said in the second in which all
        still agreed, or whoever asks just then would keep it from them.
        """
        second = (began if agrees else now).replace(microsecond=0)
        before, agreed = self._said.get(wallet, (second, False))
        if agrees and not agreed and second < before <= now:
            raise Overtaken("that nobody could look was said meanwhile")
        if not agrees and agreed and second == before:
            second += _SECOND
        self._said[wallet] = (second, agrees)
        return second
