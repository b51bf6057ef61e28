"""What a signer can be asked, read strictly: nothing unknown passes, nothing is guessed.

There is no request to sign a digest. A sign request carries a whole PSBT, or a Safe's whole transaction
(`safes`), and the one intent behind it; an order (freeze, release, reopen, registry,
recovery, veto) carries its own payload. All carry officers' approvals; an unattended one carries none.
`learn` brings what a customer signed, `attest` what a reconciler signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from custody.signer.refusals import Refused
from kernel import canonical, encodings
from kernel.approval import BadStatement, SignedApproval
from kernel.intent import BadIntent, Intent, time, uuid
from kernel.lane import Attestation, BadAttestation
from kernel.members import BadMember, all_texts, is_version
from kernel.psbt import BadPsbt, Psbt

Message = dict[str, canonical.Value]

GO_ASIDE: Final = frozenset({"sign", "sign_unattended"})  # types of what the token signs in nobody's turn
APPROVALS_MAX: Final = 50

FREEZE: Final = "signer.freeze"
RELEASE: Final = "signer.release"
REOPEN: Final = "signer.reopen"
REGISTRY: Final = "signer.registry"
RECOVERY: Final = "signer.recovery"
VETO: Final = "signer.veto"

_COMMON: Final = frozenset({"v", "kind", "deployment", "maker", "reason", "expires"})
_ORDERS: Final[Mapping[str, frozenset[str]]] = {
    FREEZE: _COMMON | {"wallet"},
    RELEASE: _COMMON | {"wallet"},
    REOPEN: _COMMON | {"token", "standing", "suspended"},
    REGISTRY: _COMMON | {"version", "digest", "keys"},
    RECOVERY: _COMMON | {"version", "digest", "keys"},
    VETO: _COMMON | {"digest"},
}

_V: Final[Mapping[str, int]] = {REOPEN: 2, REGISTRY: 2, RECOVERY: 2}
"""A kind's version, where it is not 1."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Canonical bytes and what officers said about them."""

    payload: bytes
    approvals: tuple[SignedApproval, ...]

    @property
    def name(self) -> str:
        """Names this signing of these bytes: a second one, with a nonce of its own, has another name."""
        nonce = self.approvals[0].nonce if self.approvals else b""
        return hashlib.sha256(self.payload + nonce).hexdigest()


@dataclass(frozen=True, slots=True)
class Spend:
    """A whole transaction, the wallet it spends from, and the intent that justifies it."""

    wallet: str
    psbt: Psbt
    intent: Intent
    signed: Signed
    unattended: bool = False


@dataclass(frozen=True, slots=True)
class Learnt:
    """A customer's statement and the proof that the customer's key signed it."""

    payload: bytes
    proof: canonical.Value


@dataclass(frozen=True, slots=True)
class Attested:
    """What a reconciler said, and its signature."""

    payload: bytes
    signature: bytes
    said: Attestation


@dataclass(frozen=True, slots=True)
class Order:
    """An officers' order to the signer itself: about a wallet, the journal's standing or a registry.

    `keys` are the officers' passkeys that a registry must have, as whoever signed the order read them;
    `suspended` are the officers whom a reopened signer does not hear, whatever it has forgotten.
    """

    kind: str
    deployment: str
    maker: str
    reason: str
    expires: datetime
    subject: str
    signed: Signed
    token: str = ""
    version: int = 0
    keys: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()


def spend(message: Mapping[str, canonical.Value], *, unattended: bool = False) -> Spend:
    """Read a sign request; Refused names the first fault. An unattended one has payloads and no approvals."""
    if unattended and "transaction" in message:
        raise Refused("SIGNER_SAFE_NO_LANE", "a Safe pays nothing without officers")
    exact(message, {"v", "type", "wallet", "psbt", "intents"})
    wallet, text, items = message["wallet"], message["psbt"], message["intents"]
    if not isinstance(wallet, str) or not isinstance(text, str) or not isinstance(items, list):
        raise Refused("SIGNER_BAD_REQUEST", "wallet and psbt are text, intents is a list")
    if len(items) != 1:
        raise Refused("SIGNER_NO_INTENT", "a transaction has exactly one intent")
    try:
        psbt = Psbt.parse_base64(text)
    except BadPsbt as error:
        raise Refused(f"SIGNER_{error.code}", str(error)) from None
    item = {"payload": items[0], "approvals": []} if unattended else items[0]
    return Spend(wallet, psbt, *approved(item), unattended)


def learnt(message: Mapping[str, canonical.Value]) -> Learnt:
    """Read what a customer signed."""
    exact(message, {"v", "type", "payload", "proof"})
    return Learnt(_bytes(message["payload"], "SIGNER_BAD_STATEMENT"), message["proof"])


def attested(message: Mapping[str, canonical.Value]) -> Attested:
    """Read what a reconciler signed."""
    exact(message, {"v", "type", "payload", "signature"})
    code = "SIGNER_BAD_ATTESTATION"
    payload, signature = (_bytes(message[name], code) for name in ("payload", "signature"))
    try:
        return Attested(payload, signature, Attestation.parse(payload))
    except BadAttestation as error:
        raise Refused(code, str(error)) from None


def order(message: Mapping[str, canonical.Value]) -> Order:
    """Read an order to the signer; Refused names the first fault."""
    exact(message, {"v", "type", "payload", "approvals"})
    signed = _signed({"payload": message["payload"], "approvals": message["approvals"]})
    try:
        document = canonical.decode_object(signed.payload)
        kind = document.get("kind")
        if not isinstance(kind, str) or _ORDERS.get(kind) != frozenset(document):
            raise BadIntent("not the members of an order")
        if not is_version(document["v"], _V.get(kind, 1)):
            raise BadIntent("another version of this order than is read here")
        version = document.pop("version", 0)
        keys, suspended = (all_texts(document.pop(name, [])) for name in ("keys", "suspended"))
        texts = {name: value for name, value in document.items() if isinstance(value, str) and value}
        if len(texts) != len(document) - 1 or type(version) is not int:
            raise BadIntent("every member but v, version and lists is text, and none is empty")
        return Order(
            kind=kind,
            deployment=texts["deployment"],
            maker=str(uuid(texts["maker"])),
            reason=texts["reason"],
            expires=time(texts["expires"]),
            subject=texts.get("wallet") or texts.get("standing") or texts["digest"],
            signed=signed,
            token=texts.get("token", ""),
            version=version,
            keys=tuple(keys),
            suspended=tuple(str(uuid(officer)) for officer in suspended),
        )
    except (canonical.NotCanonical, BadIntent, BadMember) as error:
        raise Refused("SIGNER_BAD_ORDER", str(error)) from None


def approved(value: canonical.Value) -> tuple[Intent, Signed]:
    """Read an intent with its approvals; Refused names the first fault."""
    signed = _signed(value)
    try:
        return Intent.parse(signed.payload), signed
    except (canonical.NotCanonical, BadIntent) as error:
        raise Refused("SIGNER_BAD_INTENT", str(error)) from None


def _signed(value: canonical.Value) -> Signed:
    if not isinstance(value, Mapping):
        raise Refused("SIGNER_BAD_REQUEST", "a payload and its approvals were expected")
    exact(value, {"payload", "approvals"})
    payload, approvals = _bytes(value["payload"], "SIGNER_BAD_INTENT"), value["approvals"]
    if not isinstance(approvals, list) or len(approvals) > APPROVALS_MAX:
        raise Refused("SIGNER_BAD_REQUEST", f"approvals are a list of {APPROVALS_MAX} at most")
    try:
        return Signed(payload, tuple(SignedApproval.from_json(item) for item in approvals))
    except BadStatement as error:
        raise Refused("SIGNER_BAD_APPROVAL", str(error)) from None


def _bytes(value: canonical.Value, code: str) -> bytes:
    if not isinstance(value, str):
        raise Refused("SIGNER_BAD_REQUEST", "bytes travel as text")
    try:
        return encodings.from_base64url(value)
    except encodings.BadEncoding as error:
        raise Refused(code, str(error)) from None


def said(kind: str, token: str, members: Mapping[str, canonical.Value]) -> Message:
    """An answer."""
    return {"v": 1, "type": kind, "token": token, **members}


def exact(message: Mapping[str, canonical.Value], members: set[str]) -> None:
    """Nothing, if these members stand in the message and no other; Refused otherwise."""
    if odd := set(message) ^ members:
        raise Refused("SIGNER_BAD_REQUEST", f"missing or unknown: {', '.join(sorted(odd))}")
