"""An authenticator as it is put before the second person: exactly this key, for exactly this person."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from kernel import canonical

TEAMS: Final = {"officers": 1}
SAFE_TEAMS: Final = {"officers": 2}
_TAG: Final = b"countersign/code-secret/v1"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What both kinds have in common: the row that becomes active, and whose it is."""

    kind: ClassVar[str]
    tells: ClassVar[frozenset[str]] = frozenset()
    factor: UUID
    person: UUID
    label: str

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        return {"factor": str(self.factor), "label": self.label}

    def told(self) -> dict[str, str]:
        """What the policy is told of it, by the names in `tells`."""
        return {}


@dataclass(frozen=True, slots=True)
class Passkey(Enrolment):
    """A passkey for the console, with what its attestation says of the device."""

    kind: ClassVar[str] = "factors.enrol_passkey"
    tells: ClassVar[frozenset[str]] = frozenset({"attestation", "aaguid"})
    credential_id: str
    public_key: str
    aaguid: str
    attestation: str

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        return {
            "factor": str(self.factor),
            "label": self.label,
            "credential_id": self.credential_id,
            "public_key": self.public_key,
            "aaguid": self.aaguid,
            "attestation": self.attestation,
        }

    def told(self) -> dict[str, str]:
        """What its attestation says."""
        return {"attestation": self.attestation, "aaguid": self.aaguid}


@dataclass(frozen=True, slots=True)
class SealedKey(Passkey):
    """A passkey that goes into a safe for an emergency; the person only registers it."""

    kind: ClassVar[str] = "factors.enrol_sealed"


@dataclass(frozen=True, slots=True)
class Code(Enrolment):
    """An authenticator app; the secret itself is named by its fingerprint."""

    kind: ClassVar[str] = "factors.enrol_code"
    fingerprint: str

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        return {"factor": str(self.factor), "label": self.label, "fingerprint": self.fingerprint}


def fingerprint(factor: UUID, secret: bytes) -> str:
    """The name of a code's secret. It has 160 random bits, so its digest says nothing about it."""
    return hashlib.sha256(_TAG + b"\x00" + factor.bytes + secret).hexdigest()


def payload(enrolment: Enrolment, *, deployment: str, name: str, reason: str) -> dict[str, canonical.Value]:
    """What the second person signs. The maker is the person: nobody registers a key for another."""
    return {
        "v": 1,
        "kind": enrolment.kind,
        "deployment": deployment,
        "maker": str(enrolment.person),
        "person": str(enrolment.person),
        "person_name": name,
        "reason": reason,
        **enrolment.facts(),
    }


def factor_of(data: bytes) -> UUID:
    """The row that these canonical bytes are about."""
    return UUID(str(canonical.decode_object(data)["factor"]))
