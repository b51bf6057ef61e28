"""Approval statements: what exactly an officer's passkey signs.

A statement binds verb, kind, deployment, nonce and the digest of the canonical payload. The passkey signs
its challenge, so an approval cannot be read as a rejection, moved to another deployment, to another kind of
act, to another request (nonce) or to another payload (digest).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kernel import canonical, encodings
from kernel.webauthn import Assertion

DOMAIN_TAG: Final = b"countersign/approval/v1"
NONCE_BYTES: Final = 32
DIGEST_BYTES: Final = 32

_MEMBERS: Final = ("authenticator_data", "client_data", "nonce", "officer", "signature", "verb")


class BadStatement(ValueError):
    """The parts make no statement: an unknown verb, an empty name, a nonce or digest of another length."""


class Verb(StrEnum):
    """What an officer says about a request: its maker that they ask for it, checkers what they answer."""

    APPROVE = "approve"
    REJECT = "reject"
    RELEASE = "release"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Statement:
    """One officer's answer in the form that is hashed and signed."""

    verb: Verb
    kind: str
    deployment: str
    nonce: bytes
    digest: bytes

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "verb", Verb(self.verb))
        except ValueError as error:
            raise BadStatement(str(error)) from None
        if not self.kind or not self.deployment:
            raise BadStatement("kind and deployment must be named")
        if len(self.nonce) != NONCE_BYTES or len(self.digest) != DIGEST_BYTES:
            raise BadStatement("nonce and digest are 32 bytes each")

    @classmethod
    def about(cls, payload: bytes, *, verb: Verb, kind: str, deployment: str, nonce: bytes) -> Statement:
        """The statement about these canonical bytes; NotCanonical where they are not."""
        canonical.decode_object(payload)
        return cls(verb, kind, deployment, nonce, canonical.digest(payload))

    def encoded(self) -> bytes:
        """The canonical bytes of the statement itself."""
        return canonical.encode(
            {
                "deployment": self.deployment,
                "digest": self.digest.hex(),
                "kind": self.kind,
                "nonce": self.nonce.hex(),
                "verb": self.verb.value,
            }
        )

    def challenge(self) -> bytes:
        """The 32 bytes that the passkey signs; the domain tag keeps them apart from other uses of the key."""
        return hashlib.sha256(DOMAIN_TAG + b"\x00" + self.encoded()).digest()


@dataclass(frozen=True, slots=True)
class SignedApproval:
    """One officer's statement with its assertion, as it travels to the signers.

    As JSON: `officer` and `verb` are text, `nonce` is hex as in the statement, all others are base64url. The
    confirmation (see `kernel.confirmation`) is there only where the officer gave one.
    """

    officer: str
    verb: Verb
    nonce: bytes
    assertion: Assertion
    confirmation: bytes = b""

    def as_json(self) -> dict[str, canonical.Value]:
        """The JSON-able form."""
        confirmed = {"confirmation": encodings.base64url(self.confirmation)} if self.confirmation else {}
        return {
            **confirmed,
            "officer": self.officer,
            "verb": self.verb.value,
            "nonce": self.nonce.hex(),
            "authenticator_data": encodings.base64url(self.assertion.authenticator_data),
            "client_data": encodings.base64url(self.assertion.client_data),
            "signature": encodings.base64url(self.assertion.signature),
        }

    @classmethod
    def from_json(cls, value: canonical.Value) -> SignedApproval:
        """Read `as_json`'s form back, strictly; BadStatement names what is wrong."""
        if not isinstance(value, Mapping) or sorted(value.keys() - {"confirmation"}) != sorted(_MEMBERS):
            raise BadStatement(f"an approval has exactly the members {', '.join(_MEMBERS)}")
        texts = {name: part for name, part in value.items() if isinstance(part, str)}
        if len(texts) != len(value):
            raise BadStatement("every member of an approval is text")
        try:
            assertion = Assertion(
                authenticator_data=encodings.from_base64url(texts["authenticator_data"]),
                client_data=encodings.from_base64url(texts["client_data"]),
                signature=encodings.from_base64url(texts["signature"]),
            )
            confirmation = encodings.from_base64url(texts.get("confirmation", ""))
            nonce, verb = encodings.from_hex(texts["nonce"]), Verb(texts["verb"])
        except ValueError as error:
            raise BadStatement(str(error)) from None
        return cls(texts["officer"], verb, nonce, assertion, confirmation)
