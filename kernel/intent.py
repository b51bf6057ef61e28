"""Payment intents: what officers approve, as canonical bytes that every party reads in the same way.

A withdrawal pays a customer's destination out of a wallet; a refill pays our own hot wallet out of the cold
one, a sweep the other way round. Members are exact: one missing or one too many refuses the whole intent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from kernel import canonical, members
from kernel.money import Amount, UnknownAsset

WITHDRAWAL: Final = "custody.withdrawal"
REFILL: Final = "custody.refill"
SWEEP: Final = "custody.sweep"

MARKS_FROM: Final = 500_000_000
"""From here on a lock time is a moment (consensus). All marks are moments before 2024: they lock nothing."""
_MARKS: Final = 2**30
_MARK_TAG: Final = b"countersign/mark/v1\x00"
_VERSION: Final = 1
_COMMON: Final = frozenset(
    {"v", "kind", "deployment", "network", "asset", "amount", "destination", "destination_label"}
    | {"fee_cap", "source", "maker", "policy", "expires"}
)
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    WITHDRAWAL: _COMMON | {"withdrawal", "customer"},
    REFILL: _COMMON | {"refill"},
    SWEEP: _COMMON | {"sweep"},
}
_REFERENCE: Final = {WITHDRAWAL: "withdrawal", REFILL: "refill", SWEEP: "sweep"}
_UNITS = re.compile(r"0|[1-9][0-9]{0,29}")
_WORD = re.compile(r"[!-~]{1,120}")
_WORDS: Final = ("deployment", "network", "asset", "destination", "source")
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


class BadIntent(ValueError):
    """The payload is not exactly one payment intent."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One approved payment. `reference` is the id of what is paid; only a withdrawal has a `customer`."""

    kind: str
    deployment: str
    network: str
    amount: Amount
    destination: str
    destination_label: str
    fee_cap: Amount
    source: str
    reference: UUID
    maker: UUID
    policy: int
    expires: datetime
    customer: UUID | None = None

    @property
    def name(self) -> str:
        """The name under which an intent is remembered: the same however often it is approved again."""
        return f"{self.kind}/{self.reference}"

    @property
    def mark(self) -> int:
        """What its transaction carries: a bitcoin transaction as lock time, a Safe's as base gas.

        By outputs alone each signer could be told that a transaction pays another of two equal intents, and
        all together would sign a third. Two intents with one mark are harmless: only one of them is paid.
        """
        digest = hashlib.sha256(_MARK_TAG + self.name.encode()).digest()
        return MARKS_FROM + int.from_bytes(digest[:4], "big") % _MARKS

    def encoded(self) -> bytes:
        """The canonical payload that officers sign; BadIntent where it could not be read back."""
        made: dict[str, canonical.Value] = {
            "v": _VERSION,
            "kind": self.kind,
            "deployment": self.deployment,
            "network": self.network,
            "asset": self.amount.asset,
            "amount": str(self.amount.units),
            "destination": self.destination,
            "destination_label": self.destination_label,
            "fee_cap": str(self.fee_cap.units),
            "source": self.source,
            _REFERENCE.get(self.kind, "reference"): str(self.reference),
            "maker": str(self.maker),
            "policy": self.policy,
            "expires": time_text(self.expires),
        }
        if self.customer is not None:
            made["customer"] = str(self.customer)
        data = canonical.encode(made)
        if Intent.parse(data) != self:
            raise BadIntent("the intent does not survive its own encoding")
        return data

    @classmethod
    def parse(cls, payload: bytes) -> Intent:
        """Read canonical bytes; NotCanonical or BadIntent names the first fault."""
        document = canonical.decode_object(payload)
        kind = document.get("kind")
        if not isinstance(kind, str) or kind not in _MEMBERS:
            raise BadIntent(f"no payment: {kind!r}")
        if frozenset(document) != _MEMBERS[kind] or not members.is_version(document["v"], _VERSION):
            odd = frozenset(document) ^ _MEMBERS[kind]
            raise BadIntent(
                f"version {_VERSION} of {kind} has other members: {', '.join(sorted(odd)) or 'v'}"
            )
        policy = document.pop("policy")
        if type(policy) is not int or policy < 1:
            raise BadIntent("policy is a version number")
        texts = {name: value for name, value in document.items() if isinstance(value, str)}
        if len(texts) != len(document) - 1 or not all(texts.values()):
            raise BadIntent("every member but v and policy is text, and none is empty")
        if odd_word := next((name for name in _WORDS if not _WORD.fullmatch(texts[name])), ""):
            raise BadIntent(f"{odd_word} is a plain word of 1 to 120 characters")
        return cls(
            kind=kind,
            deployment=texts["deployment"],
            network=texts["network"],
            amount=_amount(texts["amount"], texts["asset"]),
            destination=texts["destination"],
            destination_label=texts["destination_label"],
            fee_cap=_amount(texts["fee_cap"], texts["asset"]),
            source=texts["source"],
            reference=uuid(texts[_REFERENCE[kind]]),
            maker=uuid(texts["maker"]),
            policy=policy,
            expires=time(texts["expires"]),
            customer=uuid(texts["customer"]) if "customer" in texts else None,
        )


def uuid(text: str) -> UUID:
    """An id in its one spelling: lower case with hyphens."""
    try:
        found = UUID(text)
    except ValueError:
        raise BadIntent(f"not an id: {text[:40]!r}") from None
    if str(found) != text:
        raise BadIntent(f"not an id in lower case with hyphens: {text[:40]!r}")
    return found


def time(text: str) -> datetime:
    """A moment in UTC, whole seconds, as `2026-11-21T02:00:00Z`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadIntent(f"not a UTC time in whole seconds: {text[:40]!r}") from None
    if found.tzinfo is not UTC or found.strftime(_TIME) != text:
        raise BadIntent(f"not a UTC time in whole seconds: {text[:40]!r}")
    return found


def time_text(moment: datetime) -> str:
    """The one spelling of a moment; BadIntent where it is not in UTC or has fractions of a second."""
    if moment.utcoffset() is None or moment.utcoffset() or moment.microsecond:
        raise BadIntent("times are in UTC and in whole seconds")
    return moment.strftime(_TIME)


def _amount(text: str, asset: str) -> Amount:
    if not _UNITS.fullmatch(text):
        raise BadIntent("an amount is a decimal string of units")
    try:
        return Amount(int(text), asset)
    except UnknownAsset:
        raise BadIntent(f"unknown asset {asset[:20]!r}") from None
