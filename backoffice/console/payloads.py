"""A payload as the console shows it: the same members, in words.

Officers do not have to believe this: the approver page decodes the same bytes by itself before anybody signs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.urls import NoReverseMatch, reverse

from core.approvals import kinds
from custody.domain.orders import OFFICER
from kernel import canonical, registration
from kernel.intent import BadIntent, time
from kernel.money import Amount, UnknownAsset
from kyc.domain.erasures import Basis

LABELS: Final[Mapping[str, str]] = {
    "person_name": "Person",
    "role": "Role",
    "roles": "Roles",
    "hours": "Hours (0: for good)",
    "name": "Name",
    "email": "E-mail",
    "subject": "At the edge",
    "keys": "Passkeys",
    "label": "Label",
    "credential_id": "Passkey",
    "public_key": "Public key",
    "aaguid": "Model",
    "attestation": "Attestation",
    "fingerprint": "Fingerprint",
    "factor": "Authenticator",
    "destination": "To",
    "destination_label": "Known as",
    "customer": "Customer",
    "tier_before": "Tier now",
    "tier": "Tier proposed",
    "basis": "On what basis",
    "kept_until": "Files must be kept until",
    "wallet": "Wallet (*: all)",
    "token": "Signer",
    "standing": "What it found",
    "suspended": "Hears nothing of",
    "version": "Which version",
    "digest": "Registry’s digest",
    "backtest": "Back-test’s digest",
    "document": "The policy",
    "scope": "Scope",
    "market": "Market",
    "level": "Fee level",
    "level_before": "Fee level now",
    "maker_ppm": "Maker’s fee",
    "maker_ppm_before": "Maker’s fee now",
    "taker_ppm": "Taker’s fee",
    "taker_ppm_before": "Taker’s fee now",
    "band_ppm": "Price band",
    "band_ppm_before": "Price band now",
    "reference_price": "Around",
    "from": "From",
    "to": "To",
    "pulled_at": "Frozen since",
    "frozen_because": "Frozen because",
    "reason": "Because",
    "reference": "Reference",
    "fee_cap": "Network fee at most",
    "source": "Out of wallet",
    "network": "Network",
    "expires": "Void after",
    "maker": "Maker",
    "policy": "Policy version",
    "withdrawal": "Withdrawal",
    "refill": "Refill",
    "sweep": "Sweep",
    "adjustment": "Adjustment",
    "case": "Case",
    "erasure": "Erasure",
    "freeze": "Freeze",
    "person": "Person’s id",
    "deployment": "Deployment",
    "kind": "Kind",
    "v": "Version",
}
"""What each member is called, in the order in which people want to know."""

VIEWS: Final[Mapping[str, str]] = {
    "custody.withdrawal": "withdrawal",
    "custody.refill": "refill",
    "custody.sweep": "sweep",
    "kyc.case": "case",
    "customers.customer": "customer",
    "access.identity": "person",
}
PEOPLE: Final = (
    ("customer", "customers.customer", ("destination", "destination_label", "tier", "reason", "reference")),
    ("person", "access.identity", ("name", "email", "subject", "person_name", "role", "roles", "label")),
)
"""The member that says whom a payload is about, such people's name in the log, what it may say of them."""
WORDS: Final[Mapping[tuple[str, str], str]] = {
    **{("basis", basis.value): basis.label for basis in Basis},
    ("kept_until", "none"): "nothing was ever booked or approved",
}
"""Values that stand for a sentence."""
_POINT: Final = re.compile(r"04[0-9a-f]{128}")
_IDS: Final = frozenset(
    {
        "customer",
        "person",
        "credential_id",
        "public_key",
        "aaguid",
        "fingerprint",
        "factor",
        "maker",
        "withdrawal",
        "refill",
        "sweep",
        "adjustment",
        "case",
        "erasure",
        "freeze",
        "standing",
        "digest",
        "backtest",
        "document",
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One member; `form` says how its value is drawn."""

    label: str
    value: str | Amount | datetime
    form: str = "text"


@dataclass(frozen=True, slots=True)
class Act:
    """What is asked: one large line, and everything else below it."""

    headline: str
    amount: Amount | None
    lines: list[Line]


def read(payload: bytes) -> Act:
    """The payload in words. Every member appears, known or not; what cannot be read is shown as it stands."""
    try:
        members = canonical.decode_object(payload)
    except canonical.NotCanonical as error:
        return Act(f"This payload cannot be read ({error}). Do not sign it.", None, [])
    amount = _amount(members, "amount")
    shown = {"amount", "asset"} if amount else set()
    names = [name for name in LABELS if name in members]
    names += [name for name in members if name not in LABELS and name not in shown]
    return Act(_headline(members), amount, [line for name in names for line in _lines(name, members)])


def headline(payload: bytes) -> str:
    """The large line alone, for lists."""
    act = read(payload)
    return f"{act.headline} {act.amount} {act.amount.asset}" if act.amount else act.headline


def person_in(payload: bytes) -> tuple[str, list[str]]:
    """Whom the payload is about, by the name in the log, and what it says of them; nobody: two empty ones."""
    try:
        members = canonical.decode_object(payload)
    except canonical.NotCanonical:
        return "", []
    for member, person, said in PEOPLE:
        if members.get(member):
            return f"{person}/{members[member]}", [name for name in said if name in members]
    return "", []


def address_of(subject: str) -> str:
    """The console's own page about a row such as custody.withdrawal/0192…; empty where there is none."""
    table, _, identifier = subject.partition("/")
    if table == "custody.adjustment":
        return reverse("adjustments")
    if table == "approvals.policy":
        return reverse("policy")
    if table == "custody.signer":
        return reverse("signers")
    if table == "freezes.freeze":
        return reverse("freezes")
    if table == "engine_bridge.instrument":
        return reverse("markets")
    if table == "engine_bridge.accountfees":
        return reverse("fees")
    try:
        return reverse(VIEWS[table], args=[identifier])
    except (KeyError, NoReverseMatch):
        return ""


def _headline(members: Mapping[str, canonical.Value]) -> str:
    match members.get("kind"):
        case "custody.withdrawal":
            return "Pay"
        case "custody.refill":
            return "Refill the hot wallet with"
        case "custody.sweep":
            return "Sweep out of the hot wallet"
        case "custody.adjustment":
            return "Credit"
        case "kyc.tier":
            before, after = members.get("tier_before"), members.get("tier")
            goes_up = isinstance(before, int) and isinstance(after, int) and after > before
            return f"{'Raise' if goes_up else 'Lower'} a customer from tier {before} to tier {after}"
        case "kyc.erasure":
            return "Erase a customer, for good"
        case "freezes.release":
            return f"Release the freeze of {members.get('scope')}"
        case "engine.market_release":
            return f"Let {members.get('market')} trade again"
        case "engine.fee_level":
            return f"Let a customer pay the fees of {members.get('level')}"
        case "engine.price_band":
            return f"Set the price band of {members.get('market')}"
        case "approvals.policy":
            return f"Let policy {members.get('version')} say who must approve"
        case "signer.freeze":
            suspends = str(members.get("wallet")).startswith(OFFICER)
            return "Suspend an officer at every signer" if suspends else f"Freeze {_signers(members)}"
        case "signer.veto":
            return "Veto a registry that was announced to the signers"
        case "signer.release":
            if str(members.get("wallet")).startswith(OFFICER):
                return "Let an officer count again at every signer"
            return f"Let {_signers(members)} sign again"
        case "signer.reopen":
            return f"Let the signer {members.get('token')} begin a new memory"
        case "signer.registry":
            return f"Let the signers take up registry {members.get('version')}"
        case "signer.recovery":
            return f"Recover: let the signers take up the officers of registry {members.get('version')}"
        case str(kind) if kind in kinds.registered():
            return (
                f"{kinds.named(kind).title or kind}: {members.get('person_name') or members.get('subject')}"
            )
        case kind:
            return f"An act of the kind {kind}"


def _signers(members: Mapping[str, canonical.Value]) -> str:
    wallet = members.get("wallet")
    return "every signer" if wallet == "*" else f"the signers of the {wallet} wallet"


def _lines(name: str, members: Mapping[str, canonical.Value]) -> list[Line]:
    """A member's lines. A public key comes with its fingerprint; a registry's passkeys have a line each."""
    value = members[name]
    if name == "public_key" and isinstance(value, str) and _POINT.fullmatch(value):
        print_of_it = registration.fingerprint(bytes.fromhex(value))
        return [Line("Fingerprint", print_of_it, "groups"), _line(name, members)]
    if name == "keys" and isinstance(value, list):
        pairs = [str(key).partition(" ") for key in value]
        return [Line(f"Passkey of {whose}", key, "groups") for key, _, whose in pairs]
    return [_line(name, members)]


def _line(name: str, members: Mapping[str, canonical.Value]) -> Line:
    label, value = LABELS.get(name, name), members[name]
    if name == "fee_cap" and (amount := _amount(members, name)):
        return Line(label, amount, "amount")
    if name in ("expires", "pulled_at") and isinstance(value, str):
        try:
            return Line(label, time(value), "moment")
        except BadIntent:
            return Line(label, value)
    if name == "destination":
        return Line(label, str(value), "address")
    if said := WORDS.get((name, str(value))):
        return Line(label, said)
    if name.startswith(("maker_ppm", "taker_ppm")):
        return Line(label, _rate(str(value)))
    if name.startswith("band_ppm") and isinstance(value, int):
        return Line(label, f"{percent_of(value)} either way" if value else "none")
    if name == "reference_price" and value == "last":
        return Line(label, "the last trade’s price")
    if isinstance(value, list):
        return Line(label, ", ".join(map(str, value)) or "nobody", "mono" if name == "suspended" else "text")
    return Line(label, str(value), "mono" if name in _IDS else "text")


def _rate(text: str) -> str:
    return f"{percent_of(int(text))} of what they receive" if text.isdecimal() else "the market’s own"


def percent_of(ppm: int) -> str:
    """Millionths as a percentage, without zeros that say nothing."""
    whole, fraction = divmod(ppm, 10_000)
    return f"{whole}.{fraction:04d}".rstrip("0").rstrip(".") + " %"


def _amount(members: Mapping[str, canonical.Value], name: str) -> Amount | None:
    units, asset = members.get(name), members.get("asset")
    if not isinstance(units, str) or not units.isdecimal() or not isinstance(asset, str):
        return None
    try:
        return Amount(int(units), asset)
    except UnknownAsset:
        return None
