"""The unattended lane: what this signer knows of customers, and when it pays without officers.

Whoever owns the web tier can invent a customer, a key and a destination, but not the time that this signer
has known them. A first key counts from this signer's own clock; a destination counts from when it was
learnt, and not before its key has itself been known for a cooling-off. A customer who shows another key
starts again with nothing but what was removed: an event for people, so answer and journal say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from custody.signer import checks
from custody.signer.refusals import Refused
from custody.signer.requests import Attested, Learnt, Spend
from kernel import canonical, customer, encodings, lane
from kernel.entry import Entry
from kernel.intent import WITHDRAWAL
from kernel.registry import Registry

CLOCKS_APART_S: Final = 120  # a reconciler's clock may be this much ahead of ours
LEARNT: Final = frozenset({"customer_key", "beneficiary", "beneficiary_removed"})
LEARNT_PER_DAY_MAX: Final = 20_000  # a flood of invented customers must not fill the disk
_DAY_MS: Final = 86_400_000


@dataclass(slots=True)
class Known:
    """A customer: the key, since when, and the destinations with the moment each was learnt."""

    key: customer.Key
    since_ms: int
    destinations: dict[str, int] = field(default_factory=dict)
    removed: dict[str, datetime] = field(default_factory=dict)  # destination -> when the customer said so


@dataclass(slots=True)
class Lanes:
    """Customers and reconciliations, as the journal and the latest messages tell."""

    customers: dict[str, Known] = field(default_factory=dict)
    breaks: dict[str, datetime] = field(default_factory=dict)  # wallet -> when its books did not agree
    learnt_ms: list[int] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Take one entry of the journal in."""
        details = entry.details
        if entry.event == "customer_key":
            key = customer.Key(str(details["algorithm"]), bytes.fromhex(str(details["public_key"])))
            before = self.customers.get(name := str(details["customer"]))
            self.customers[name] = Known(key, entry.at_ms, removed=before.removed if before else {})
        elif entry.event == "beneficiary":
            self.customers[str(details["customer"])].destinations[str(details["destination"])] = entry.at_ms
        elif entry.event == "beneficiary_removed":
            known, destination = self.customers[str(details["customer"])], str(details["destination"])
            known.destinations.pop(destination, None)
            known.removed[destination] = datetime.fromisoformat(str(details["time"]))
        elif entry.event == "unbalanced":
            self.breaks[str(details["wallet"])] = datetime.fromisoformat(str(details["time"]))
        elif entry.event == "balanced":
            self.breaks.pop(str(details["wallet"]), None)
        if entry.event in LEARNT:
            self.learnt_ms.append(entry.at_ms)

    def learn(
        self, learnt: Learnt, *, registry: Registry, now_ms: int
    ) -> tuple[str, Mapping[str, canonical.Value]] | None:
        """The journal entry for what a customer signed; None where it is known already; else Refused."""
        try:
            said = customer.parse(learnt.payload)
        except customer.BadCustomerStatement as error:
            raise Refused("SIGNER_BAD_STATEMENT", str(error)) from None
        if said.deployment != registry.deployment:
            raise Refused("SIGNER_WRONG_DEPLOYMENT", "the statement is for another deployment")
        name, known = str(said.customer), self.customers.get(str(said.customer))
        if isinstance(said, customer.BeneficiaryStatement):
            if known is None:
                raise Refused("SIGNER_UNKNOWN_CUSTOMER", f"no key of customer {name} is known here")
            _check_proof(known.key, learnt, registry)
            _check_destination(said, registry)
            return self._destination(said, name, known, now_ms=now_ms)
        _check_proof(said.key, learnt, registry)
        if known is not None and known.key == said.key:
            return None
        self._check_flood(now_ms)
        return "customer_key", {
            "customer": name,
            "algorithm": said.key.algorithm,
            "public_key": said.key.public_key.hex(),
            "replaces": known.key.public_key.hex() if known is not None else "",
        }

    def _destination(
        self, said: customer.BeneficiaryStatement, name: str, known: Known, *, now_ms: int
    ) -> tuple[str, Mapping[str, canonical.Value]] | None:
        """The entry for a destination that comes or goes. Older word does not bring back what was removed."""
        gone, is_known = known.removed.get(said.destination), said.destination in known.destinations
        entry: dict[str, canonical.Value] = {"customer": name, "destination": said.destination}
        if said.time.timestamp() * 1000 > now_ms + CLOCKS_APART_S * 1000:
            raise Refused("SIGNER_BAD_STATEMENT", "word of the future would outlast later word")
        if said.removed:
            if gone is not None and gone >= said.time:
                return None
            if not is_known:
                self._check_flood(now_ms)  # what stops a destination that is in use is never refused
            return "beneficiary_removed", {**entry, "time": said.time.isoformat()}
        if is_known:
            return None
        if gone is not None and said.time <= gone:
            raise Refused("SIGNER_BENEFICIARY_REMOVED", "the customer removed it later than this was said")
        self._check_flood(now_ms)
        return "beneficiary", entry

    def usable_ms(self, name: str, destination: str, cooling_off_s: int) -> int | None:
        """From when on the lane pays this customer's destination; None where it is not known at all."""
        known = self.customers.get(name)
        if known is None or (since := known.destinations.get(destination)) is None:
            return None
        return max(since, known.since_ms + cooling_off_s * 1000) + cooling_off_s * 1000

    def check(
        self, spend: Spend, *, registry: Registry, attestations: Mapping[str, Attested], now_ms: int
    ) -> lane.Lane:
        """The lane that lets this spend through, without a look at its counters; else Refused."""
        section = registry.lanes.get(spend.wallet)
        if spend.wallet in registry.safes:
            raise Refused("SIGNER_SAFE_NO_LANE", "a Safe pays nothing without officers")
        if section is None:
            raise Refused("SIGNER_NO_LANE", f"{spend.wallet[:40]} pays nothing without officers")
        intent = spend.intent
        if intent.kind != WITHDRAWAL:
            raise Refused("SIGNER_NO_LANE", f"{intent.kind} always takes officers")
        usable = self.usable_ms(str(intent.customer), intent.destination, section.cooling_off_s)
        if usable is None:
            raise Refused("SIGNER_UNKNOWN_BENEFICIARY", "the customer never signed this destination")
        if now_ms < usable:
            raise Refused("SIGNER_COOLING_OFF", f"known too short: {(usable - now_ms) // 1000} s to go")
        attested = attestations.get(spend.wallet)
        if spend.wallet in self.breaks:
            raise Refused("SIGNER_BOOKS_BROKEN", f"chain and books of {spend.wallet} do not agree")
        if attested is None or not is_fresh(attested, section, now_ms=now_ms):
            raise Refused("SIGNER_ATTESTATION_OLD", "no fresh word that chain and books agree")
        return section

    def _check_flood(self, now_ms: int) -> None:
        recent = self.learnt_ms[-LEARNT_PER_DAY_MAX:]
        if len(recent) == LEARNT_PER_DAY_MAX and recent[0] > now_ms - _DAY_MS:
            raise Refused("SIGNER_LEARNT_ENOUGH", f"{LEARNT_PER_DAY_MAX} statements within a day")


def is_fresh(attested: Attested, section: lane.Lane, *, now_ms: int) -> bool:
    """Whether the attestation is as young as the registry wants it."""
    return now_ms / 1000 - attested.said.time.timestamp() <= section.attestation_age_s_max


def check_attestation(attested: Attested, *, registry: Registry, now: datetime) -> str:
    """The reconciler's name, if a pinned one said this about a wallet with a lane, and not in the future."""
    said = attested.said
    section = registry.lanes.get(said.wallet)
    if section is None:
        raise Refused("SIGNER_NO_LANE", f"{said.wallet[:40]} pays nothing without officers")
    if (said.deployment, said.network) != (registry.deployment, registry.network):
        raise Refused("SIGNER_WRONG_DEPLOYMENT", "the attestation is for another deployment or network")
    try:
        name = lane.check_attestation(attested.payload, attested.signature, by=section.reconcilers)
    except lane.BadAttestation as error:
        raise Refused("SIGNER_BAD_ATTESTATION", str(error)) from None
    if said.time.timestamp() > now.timestamp() + CLOCKS_APART_S:
        raise Refused("SIGNER_BAD_ATTESTATION", "it was made in the future")
    return name


def _check_proof(key: customer.Key, learnt: Learnt, registry: Registry) -> None:
    try:
        key.check(learnt.payload, learnt.proof, site=registry.customers)
    except (customer.BadCustomerStatement, encodings.BadEncoding) as error:
        raise Refused("SIGNER_BAD_STATEMENT", str(error)) from None


def _check_destination(said: customer.BeneficiaryStatement, registry: Registry) -> None:
    if said.network != registry.network:
        raise Refused("SIGNER_WRONG_NETWORK", f"the statement is for {said.network[:20]}")
    if said.asset != "BTC":
        raise Refused("SIGNER_WRONG_ASSET", "only destinations of BTC are learnt here")
    checks.script_of(said.destination, registry.network)
