"""What a signer can be asked, read strictly: nothing unknown passes, nothing is guessed.

There is no request to sign a digest. A sign request carries a whole PSBT and the intents behind it; an order
(freeze, release, reopen, registry, veto) carries its own payload. Both carry officers' approvals.
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
from kernel.psbt import BadPsbt, Psbt

INTENTS_MAX: Final = 200
APPROVALS_MAX: Final = 50

FREEZE: Final = "signer.freeze"
RELEASE: Final = "signer.release"
REOPEN: Final = "signer.reopen"
REGISTRY: Final = "signer.registry"
VETO: Final = "signer.veto"

_COMMON: Final = frozenset({"v", "kind", "deployment", "maker", "reason", "expires"})
_ORDERS: Final[Mapping[str, frozenset[str]]] = {
    FREEZE: _COMMON | {"wallet"},
    RELEASE: _COMMON | {"wallet"},
    REOPEN: _COMMON | {"token", "standing"},
    REGISTRY: _COMMON | {"version", "digest"},
    VETO: _COMMON | {"digest"},
}


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
    """A whole transaction, the wallet it spends from, and the intents that justify it."""

    wallet: str
    psbt: Psbt
    intents: tuple[tuple[Intent, Signed], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """An officers' order to the signer itself: about a wallet, the journal's standing or a registry."""

    kind: str
    deployment: str
    maker: str
    reason: str
    expires: datetime
    subject: str
    signed: Signed
    token: str = ""
    version: int = 0


def spend(message: Mapping[str, canonical.Value]) -> Spend:
    """Read a sign request; Refused names the first fault."""
    _exact(message, {"v", "type", "wallet", "psbt", "intents"})
    wallet, text, items = message["wallet"], message["psbt"], message["intents"]
    if not isinstance(wallet, str) or not isinstance(text, str) or not isinstance(items, list):
        raise Refused("SIGNER_BAD_REQUEST", "wallet and psbt are text, intents is a list")
    if not 0 < len(items) <= INTENTS_MAX:
        raise Refused("SIGNER_NO_INTENT", f"a transaction has 1 to {INTENTS_MAX} intents")
    try:
        psbt = Psbt.parse_base64(text)
    except BadPsbt as error:
        raise Refused(f"SIGNER_{error.code}", str(error)) from None
    return Spend(wallet, psbt, tuple(_intent(item) for item in items))


def order(message: Mapping[str, canonical.Value]) -> Order:
    """Read an order to the signer; Refused names the first fault."""
    _exact(message, {"v", "type", "payload", "approvals"})
    signed = _signed({"payload": message["payload"], "approvals": message["approvals"]})
    try:
        document = canonical.decode_object(signed.payload)
        kind = document.get("kind")
        if not isinstance(kind, str) or _ORDERS.get(kind) != frozenset(document) or document["v"] != 1:
            raise BadIntent("not the members of an order")
        version = document.pop("version", 0)
        texts = {name: value for name, value in document.items() if isinstance(value, str) and value}
        if len(texts) != len(document) - 1 or type(version) is not int:
            raise BadIntent("every member but v and version is text, and none is empty")
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
        )
    except (canonical.NotCanonical, BadIntent) as error:
        raise Refused("SIGNER_BAD_ORDER", str(error)) from None


def _intent(value: canonical.Value) -> tuple[Intent, Signed]:
    signed = _signed(value)
    try:
        return Intent.parse(signed.payload), signed
    except (canonical.NotCanonical, BadIntent) as error:
        raise Refused("SIGNER_BAD_INTENT", str(error)) from None


def _signed(value: canonical.Value) -> Signed:
    if not isinstance(value, Mapping):
        raise Refused("SIGNER_BAD_REQUEST", "a payload and its approvals were expected")
    _exact(value, {"payload", "approvals"})
    text, approvals = value["payload"], value["approvals"]
    if not isinstance(text, str) or not isinstance(approvals, list) or len(approvals) > APPROVALS_MAX:
        raise Refused("SIGNER_BAD_REQUEST", f"payload is text, approvals a list of {APPROVALS_MAX} at most")
    try:
        payload = encodings.from_base64url(text)
    except encodings.BadEncoding as error:
        raise Refused("SIGNER_BAD_INTENT", str(error)) from None
    try:
        return Signed(payload, tuple(SignedApproval.from_json(item) for item in approvals))
    except BadStatement as error:
        raise Refused("SIGNER_BAD_APPROVAL", str(error)) from None


def _exact(message: Mapping[str, canonical.Value], members: set[str]) -> None:
    if set(message) != members:
        odd = ", ".join(sorted(set(message) ^ members))
        raise Refused("SIGNER_BAD_REQUEST", f"missing or unknown: {odd}")
