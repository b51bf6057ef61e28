"""The unattended lane: how much a wallet may pay without officers, and how much is lost if all else fails.

Each signer keeps the counters by itself, so what it allows is its share, limit x m / n (`share`): a payment
takes m signers, all of which count it, so no choice of quorums gets more than the limit out of n of them.

The lane is open only while a reconciler says that chain and books agree. Its attestation is canonical:
`{"v":3,"kind":"custody.attestation","deployment":…,"network":…,"wallet":…,"height":N,"on_chain":units,
"in_books":units,"breaks":N,"spent":{coin:txid},"time":…}`, signed with Ed25519 over tag and payload by a key
that the registry pins. `on_chain` is what the wallet's addresses hold at that height; `in_books` what the
ledger says they should, with payments on their way taken into account. `breaks` counts what is wrong in the
books: such word shuts the lane at once. `spent` names coins (`txid:output`) that were
spent by that transaction, in a block of the chain that is `DEPTH` deep. These are facts of the chain alone:
what they mean for a signer's own transactions, it decides by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kernel import canonical, encodings, members
from kernel.intent import BadIntent, time

ATTESTATION: Final = "custody.attestation"
DOMAIN_TAG: Final = b"countersign/attestation/v1\x00"
DEPTH: Final = 6
"""Blocks, the spending one included, under which a reconciler takes a coin for spent."""
SPENT_MAX: Final = 200
"""Coins in one attestation: 30 kB at the most. What is left out comes with the next."""
_SECONDS_MAX: Final = 366 * 86_400


class BadAttestation(ValueError):
    """The document is no attestation, or no pinned reconciler signed it."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one wallet pays unattended. Fees count towards a transaction and the window."""

    transaction_units_max: int
    destination_units_max: int
    window_units_max: int
    window_s: int
    cooling_off_s: int
    attestation_age_s_max: int
    reconcilers: Mapping[str, bytes]

    @classmethod
    def read(cls, value: canonical.Value) -> Self:
        """From the registry's section, strictly; BadMember names the first fault."""
        section = members.an_object(value)
        amounts = {"transaction_units_max", "destination_units_max", "window_units_max"}
        members.exact(
            section, amounts | {"window_s", "cooling_off_s", "attestation_age_s_max", "reconcilers"}
        )
        keys = members.an_object(section["reconcilers"])
        lane = cls(
            transaction_units_max=members.units(section, "transaction_units_max"),
            destination_units_max=members.units(section, "destination_units_max"),
            window_units_max=members.units(section, "window_units_max"),
            window_s=members.positive(section, "window_s"),
            cooling_off_s=members.positive(section, "cooling_off_s"),
            attestation_age_s_max=members.positive(section, "attestation_age_s_max"),
            reconcilers={name: encodings.from_hex(members.text(keys, name)) for name in keys},
        )
        if not keys or any(len(key) != 32 for key in lane.reconcilers.values()):
            raise members.BadMember("a lane names reconcilers, each with the 32 bytes of an Ed25519 key")
        if max(lane.window_s, lane.cooling_off_s, lane.attestation_age_s_max) > _SECONDS_MAX:
            raise members.BadMember("no time in a lane is longer than a year")
        if not lane.transaction_units_max <= lane.window_units_max:
            raise members.BadMember("one transaction of a lane is within its window")
        return lane


def share(limit: int, *, threshold: int, tokens: int) -> int:
    """What one signer lets through of a limit that holds for all of them together."""
    return limit * threshold // tokens


def worst_loss(limit: int, *, threshold: int, tokens: int, hosts_lost: int = 0) -> int:
    """The most that m of n signers can be brought to pay under this limit, whoever is asked, in any order.

    Each of the honest signers gives its share once, and each payment uses m of them, or fewer where the
    hosts of some signers are in the attacker's hands too. With m hosts lost there is no limit (-1).
    """
    if hosts_lost >= threshold:
        return -1
    honest = tokens - hosts_lost
    return honest * share(limit, threshold=threshold, tokens=tokens) // (threshold - hosts_lost)


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a reconciler saw at one height."""

    deployment: str
    network: str
    wallet: str
    height: int
    on_chain: int
    in_books: int
    breaks: int
    spent: Mapping[str, str]
    time: datetime

    @property
    def agrees(self) -> bool:
        """Whether chain and books say the same, and nothing else is wrong in the books."""
        return self.on_chain == self.in_books and not self.breaks

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read canonical bytes; BadAttestation names the first fault."""
        names = {"v", "kind", "deployment", "network", "wallet", "height", "on_chain", "in_books"}
        try:
            document = canonical.decode_object(payload)
            members.exact(document, names | {"breaks", "spent", "time"})
            if not members.is_version(document["v"], 3) or document["kind"] != ATTESTATION:
                raise BadAttestation(f"not version 3 of {ATTESTATION}")
            spent = members.an_object(document["spent"])
            if len(spent) > SPENT_MAX:
                raise BadAttestation(f"one attestation names {SPENT_MAX} coins at most")
            return cls(
                deployment=members.text(document, "deployment"),
                network=members.text(document, "network"),
                wallet=members.text(document, "wallet"),
                height=members.positive(document, "height"),
                on_chain=members.units(document, "on_chain"),
                in_books=members.units(document, "in_books"),
                breaks=members.whole(document, "breaks"),
                spent={coin: members.text(spent, coin) for coin in spent},
                time=time(members.text(document, "time")),
            )
        except (canonical.NotCanonical, members.BadMember, BadIntent) as error:
            raise BadAttestation(str(error)) from None


def check_attestation(payload: bytes, signature: bytes, *, by: Mapping[str, bytes]) -> str:
    """The name of the reconciler whose pinned key signed these bytes; BadAttestation where none did."""
    for name, key in by.items():
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, DOMAIN_TAG + payload)
        except (InvalidSignature, ValueError):
            continue
        return name
    raise BadAttestation("no pinned reconciler signed it")
