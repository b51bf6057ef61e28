"""What people outside the console are told of an emergency, and how they know that it came from us."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from kernel import canonical

MAIL: Final = "mail"
WEBHOOK: Final = "webhook"
SIGNATURE_HEADER: Final = "Countersign-Signature"
_NAMES: Final = UUID("5d1c7b52-8f0e-4f0c-9d53-6a0f2f1f7a10")
_SUBJECTS: Final = {
    "asked": "Somebody is at the safe: an emergency was asked for",
    "opened": "The glass is broken: an emergency has begun",
    "ended": "The emergency is over",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert to one receiver; `person` is the officer it goes to, and empty for the webhook."""

    channel: str
    deployment: str
    glass: UUID
    what: str
    person: str = ""

    @property
    def id(self) -> UUID:
        """The same for the same alert, however often it is sent: a receiver can drop what came twice."""
        return uuid5(_NAMES, f"{self.channel}/{self.deployment}/{self.glass}/{self.what}/{self.person}")

    @property
    def subject(self) -> str:
        """The mail's subject."""
        return f"[{self.deployment}] {_SUBJECTS[self.what]}"

    def text(self, *, people: str, console: str) -> str:
        """The mail. It names nobody but those who act, and holds nothing that a finder could use."""
        return (
            f"{_SUBJECTS[self.what]}.\n\n"
            f"By: {people}\n"
            f"If you did not expect this, end it first and ask afterwards: {console}/emergencies/\n"
            f"Anybody on the staff can; it needs no key.\n"
        )

    def body(self, *, people: list[str], at: str) -> bytes:
        """The webhook's canonical body."""
        return canonical.encode(
            {
                "v": 1,
                "type": "break_glass",
                "id": str(self.id),
                "deployment": self.deployment,
                "glass": str(self.glass),
                "what": self.what,
                "people": people,
                "at": at,
            }
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people outside are told of once, beside emergencies; `name` names it for good."""

    channel: str
    deployment: str
    name: str
    subject: str
    text: str
    person: str = ""

    @property
    def id(self) -> UUID:
        """The same for the same notice, however often it is sent: a receiver can drop what came twice."""
        return uuid5(_NAMES, f"{self.channel}/{self.deployment}/{self.name}/{self.person}")

    def body(self, *, at: str) -> bytes:
        """The webhook's canonical body."""
        told = {"notice": self.name, "subject": self.subject, "text": self.text, "at": at}
        return canonical.encode(
            {"v": 1, "type": "notice", "id": str(self.id), "deployment": self.deployment, **told}
        )


def signature(body: bytes, *, secret: str, at_s: int) -> str:
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 under the secret over the seconds, a full stop and the body."""
    mac = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={mac}"
