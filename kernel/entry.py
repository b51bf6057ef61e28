"""A line of a signer's journal: what it says, how it is chained to the one before, what its kind means.

What the signer may rely on later is weighty: such a line also carries a MAC under a secret of the token's, so
that nobody else can add one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kernel import canonical
from kernel.seats import AT_ONCE

CHECKPOINT: Final = "checkpoint"
"""It begins a file, and names what is kept of those before."""
SPEND: Final = "spend"
WEIGHTY: Final = frozenset(
    {"genesis", "registry", "announced", "vetoed", SPEND, "frozen", "released", "reopened", CHECKPOINT}
    | {"customer_key", "beneficiary", "beneficiary_removed", "unbalanced", "balanced", "final"}
    | {"cosigned", "forked"}
)
LATER: Final = frozenset({"signed", SPEND})
"""Synced with the next line, or before a head is shown: of a spend, before a key is used for it."""
NAMES_REGISTRY: Final = frozenset({"genesis", "registry", "reopened"})
STOPS: Final = frozenset({"frozen", "vetoed"})
FIRST: Final = "0" * 64
AHEAD_MAX: Final = AT_ONCE + 1
"""Spends that the token may not know of yet: of those that are aside, and of one more that would be."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its number, its moment (milliseconds since 1970, by the signer's clock), what happened."""

    number: int
    at_ms: int
    event: str
    details: Mapping[str, canonical.Value]
    hash: str

    @property
    def weighty(self) -> bool:
        """Whether later decisions rest on it."""
        return self.event in WEIGHTY

    @classmethod
    def written(cls, body: bytes) -> Entry:
        """What a line of our own says, and not what it was made of."""
        said = json.loads(body)
        return cls(said["n"], said["at"], said["event"], said["details"], hashlib.sha256(body).hexdigest())

    @classmethod
    def read(cls, body: bytes, *, secret: bytes) -> tuple[Entry, str]:
        """The line, and the hash that it says the line before had; ValueError where it is not ours."""
        document = canonical.decode_object(body)
        mac = document.pop("mac", "")
        number, at_ms, event, details, previous = (
            document[name] for name in ("n", "at", "event", "details", "prev")
        )
        if type(number) is not int or type(at_ms) is not int or not isinstance(event, str):
            raise ValueError("a line has a number, a moment and an event")
        if not isinstance(details, Mapping) or not isinstance(previous, str):
            raise ValueError("a line has details and the hash of the one before")
        if event in WEIGHTY and not hmac.compare_digest(str(mac).encode(), _mac(document, secret).encode()):
            raise ValueError(f"line {number} was not written by this signer")
        return cls(number, at_ms, event, details, hashlib.sha256(body).hexdigest()), previous


def line(
    number: int,
    event: str,
    details: Mapping[str, canonical.Value],
    *,
    previous: str,
    at_ms: int,
    secret: bytes,
) -> bytes:
    """The bytes of a line."""
    members: dict[str, canonical.Value] = {"n": number, "prev": previous, "at": at_ms, "event": event}
    members["details"] = details
    if event in WEIGHTY:
        members["mac"] = _mac(members, secret)
    return canonical.encode(members)


def _mac(members: Mapping[str, canonical.Value], secret: bytes) -> str:
    return hmac.new(secret, canonical.encode(members), hashlib.sha256).hexdigest()


def may_lead(events: Sequence[str]) -> bool:
    """Whether these may be ahead of the token: a few spends, one line of any kind, and then only stops."""
    spends = next((place for place, event in enumerate(events) if event != SPEND), len(events))
    return spends <= AHEAD_MAX and STOPS.issuperset(events[spends + 1 :])
