"""What customers sign with keys of their own: which key is theirs, and which destinations are.

Signers learn these statements and pay in the unattended lane only to what they have known for long enough.
All are canonical documents of exact members:

`{"v":1,"kind":"custody.customer_key","deployment":…,"customer":UUID,"algorithm":"ed25519"|"webauthn",
"public_key":hex,"time":…}`, signed with the very key that it names, which proves possession and no more;

`{"v":1,"kind":"custody.beneficiary","deployment":…,"network":…,"asset":"BTC","customer":UUID,
"destination":…,"time":…}`, signed with the customer's key;

the same with the kind `custody.beneficiary_removal`: from `time` on that destination is theirs no more.

An Ed25519 key signs tag and payload; a passkey signs their SHA-256 as its challenge, on the customers' site.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kernel import canonical, encodings, members, webauthn
from kernel.intent import BadIntent, time, uuid

CUSTOMER_KEY: Final = "custody.customer_key"
BENEFICIARY: Final = "custody.beneficiary"
REMOVAL: Final = "custody.beneficiary_removal"
ED25519: Final = "ed25519"
WEBAUTHN: Final = "webauthn"
DOMAIN_TAG: Final = b"countersign/customer/v1\x00"


class BadCustomerStatement(ValueError):
    """The document is no statement of a customer, or not signed by the key."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where customers use their passkeys; not the officers' page."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Key:
    """A customer's public key: 32 bytes of Ed25519, or the uncompressed P-256 point of a passkey."""

    algorithm: str
    public_key: bytes

    def __post_init__(self) -> None:
        if self.algorithm == WEBAUTHN:
            try:
                webauthn.public(self.public_key)
            except webauthn.BadPublicKey as error:
                raise BadCustomerStatement(str(error)) from None
        elif self.algorithm != ED25519 or len(self.public_key) != 32:
            raise BadCustomerStatement("a customer's key is Ed25519 (32 bytes) or a passkey's point")

    def check(self, payload: bytes, proof: canonical.Value, *, site: Site | None) -> None:
        """Nothing, if this key signed the payload; BadCustomerStatement otherwise."""
        try:
            found = members.an_object(proof)
            if self.algorithm == ED25519:
                members.exact(found, {"signature"})
                signature = encodings.from_base64url(members.text(found, "signature"))
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, DOMAIN_TAG + payload)
                return
            if site is None:
                raise BadCustomerStatement("no site is pinned for customers' passkeys")
            names = ("authenticator_data", "client_data", "signature")
            members.exact(found, set(names))
            parts = [encodings.from_base64url(members.text(found, name)) for name in names]
            webauthn.verify(
                webauthn.Assertion(*parts),
                public_key=self.public_key,
                challenge=hashlib.sha256(DOMAIN_TAG + payload).digest(),
                origin=site.origin,
                rp_id=site.rp_id,
            )
        except InvalidSignature:
            raise BadCustomerStatement("the signature is not by the customer's key") from None
        except (members.BadMember, encodings.BadEncoding, webauthn.BadAssertion) as error:
            raise BadCustomerStatement(str(error)) from None


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """This key is mine."""

    deployment: str
    customer: UUID
    key: Key
    time: datetime

    @classmethod
    def read(cls, document: Mapping[str, canonical.Value]) -> Self:
        """From the document's members, strictly."""
        names = {"v", "kind", "deployment", "customer", "algorithm", "public_key", "time"}
        texts = _texts(document, CUSTOMER_KEY, names)
        key = Key(texts["algorithm"], encodings.from_hex(texts["public_key"]))
        return cls(texts["deployment"], uuid(texts["customer"]), key, time(texts["time"]))


@dataclass(frozen=True, slots=True)
class BeneficiaryStatement:
    """This destination is mine, on this network; or, where `removed`, it is so no more."""

    deployment: str
    network: str
    asset: str
    customer: UUID
    destination: str
    time: datetime
    removed: bool = False

    @classmethod
    def read(cls, document: Mapping[str, canonical.Value]) -> Self:
        """From the document's members, strictly."""
        names = {"v", "kind", "deployment", "network", "asset", "customer", "destination", "time"}
        removed = document.get("kind") == REMOVAL
        texts = _texts(document, REMOVAL if removed else BENEFICIARY, names)
        return cls(
            deployment=texts["deployment"],
            network=texts["network"],
            asset=texts["asset"],
            customer=uuid(texts["customer"]),
            destination=texts["destination"],
            time=time(texts["time"]),
            removed=removed,
        )


def parse(payload: bytes) -> KeyStatement | BeneficiaryStatement:
    """The statement in canonical bytes; BadCustomerStatement names the first fault."""
    try:
        document = canonical.decode_object(payload)
        if document.get("kind") == CUSTOMER_KEY:
            return KeyStatement.read(document)
        return BeneficiaryStatement.read(document)
    except (canonical.NotCanonical, members.BadMember, encodings.BadEncoding, BadIntent) as error:
        raise BadCustomerStatement(str(error)) from None


def _texts(document: Mapping[str, canonical.Value], kind: str, names: set[str]) -> dict[str, str]:
    members.exact(document, names)
    if not members.is_version(document["v"], 1) or document["kind"] != kind:
        raise BadCustomerStatement(f"not version 1 of {kind}")
    return {name: members.text(document, name) for name in names - {"v"}}
