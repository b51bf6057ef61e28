"""The changes to the staff that need others' consent, as they are signed.

Each is a value with exactly one canonical payload, and can be read back from it: what is applied after the
approval is what the officers saw, never a row that somebody could edit in between.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias
from uuid import UUID

from kernel import canonical, encodings, webauthn

TEAMS: Final = {"officers": 2}
HOURS_MAX: Final = 12
"""A role for a time is for a shift, not for a season."""

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class BadChange(ValueError):
    """The proposal is not one that could be applied; the sentence says what to mend."""


@dataclass(frozen=True, slots=True)
class Join:
    """Somebody new, under the subject by which the edge knows them, with their first roles."""

    kind: ClassVar[str] = "staff.join"
    tells: ClassVar[frozenset[str]] = frozenset({"person", "role"})
    person: UUID
    name: str
    email: str
    subject: str
    roles: tuple[str, ...]

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        if not self.name.strip() or not self.subject.strip() or not _EMAIL.fullmatch(self.email):
            raise BadChange("A name, an e-mail address and the subject at the edge are needed.")
        if self.email != self.email.strip().lower():
            raise BadChange("The e-mail address is written in lower case.")
        return {"name": self.name, "email": self.email, "subject": self.subject, "roles": sorted(self.roles)}


@dataclass(frozen=True, slots=True)
class GrantRole:
    """One more role, for good (`hours` 0) or for a shift."""

    kind: ClassVar[str] = "staff.grant_role"
    tells: ClassVar[frozenset[str]] = frozenset({"person", "role", "role_hours", "own"})
    person: UUID
    role: str
    hours: int = 0

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        if not 0 <= self.hours <= HOURS_MAX:
            raise BadChange(f"A role for a time lasts at most {HOURS_MAX} hours.")
        return {"role": self.role, "hours": self.hours}


@dataclass(frozen=True, slots=True)
class EndRole:
    """One role less."""

    kind: ClassVar[str] = "staff.end_role"
    tells: ClassVar[frozenset[str]] = frozenset({"person", "role"})
    person: UUID
    role: str

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        return {"role": self.role}


@dataclass(frozen=True, slots=True)
class Leave:
    """No role, no passkey, no entry any more."""

    kind: ClassVar[str] = "staff.leave"
    tells: ClassVar[frozenset[str]] = frozenset({"person"})
    person: UUID

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        return {}


@dataclass(frozen=True, slots=True)
class Restore:
    """Back after a suspension, with the roles that have not ended meanwhile."""

    kind: ClassVar[str] = "staff.restore"
    tells: ClassVar[frozenset[str]] = frozenset({"person", "way_back"})
    person: UUID

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        return {}


@dataclass(frozen=True, slots=True)
class Rebind:
    """The same person under another subject, after the edge's account was made anew."""

    kind: ClassVar[str] = "staff.rebind"
    tells: ClassVar[frozenset[str]] = frozenset({"person", "way_back"})
    person: UUID
    subject: str

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        if not self.subject.strip():
            raise BadChange("The new subject is needed.")
        return {"subject": self.subject}


@dataclass(frozen=True, slots=True)
class AddPasskey:
    """One more passkey with which the person signs, with what its attestation says of the device."""

    kind: ClassVar[str] = "staff.add_passkey"
    tells: ClassVar[frozenset[str]] = frozenset({"person", "own", "attestation", "aaguid", "way_back"})
    version: ClassVar[int] = 2
    person: UUID
    credential_id: str
    public_key: str
    label: str
    aaguid: str
    attestation: str

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        try:
            encodings.from_base64url(self.credential_id)
            webauthn.public(encodings.from_hex(self.public_key))
        except (encodings.BadEncoding, webauthn.BadPublicKey):
            raise BadChange("This is no passkey's id and public key.") from None
        if not self.label.strip() or not self.credential_id:
            raise BadChange("A passkey has a label, by which its owner tells it from others.")
        return {
            "credential_id": self.credential_id,
            "public_key": self.public_key,
            "label": self.label,
            "aaguid": self.aaguid,
            "attestation": self.attestation,
        }


@dataclass(frozen=True, slots=True)
class RevokePasskey:
    """A passkey that is lost or retired."""

    kind: ClassVar[str] = "staff.revoke_passkey"
    tells: ClassVar[frozenset[str]] = frozenset({"person", "own"})
    person: UUID
    credential_id: str

    def facts(self) -> dict[str, canonical.Value]:
        """The payload's own members."""
        return {"credential_id": self.credential_id}


Change: TypeAlias = "Join | GrantRole | EndRole | Leave | Restore | Rebind | AddPasskey | RevokePasskey"
BY_KIND: Final[Mapping[str, type[Change]]] = {
    change.kind: change
    for change in (Join, GrantRole, EndRole, Leave, Restore, Rebind, AddPasskey, RevokePasskey)
}

LESS: Final = frozenset({EndRole, Leave, RevokePasskey})
"""Changes after which somebody may do less than before."""
RETURNS: Final = (Restore, Rebind, AddPasskey)
"""Changes after which somebody may use again, or otherwise than before, what their roles allow."""
SEVERAL: Final = "several"
NONE: Final = "none"


def told(change: Change, *, maker: UUID, way_back: bool) -> dict[str, str | int]:
    """What the policy is told of a change, by the names that it `tells`. Of somebody who joins with more than
    one role, or with none, the role is `several` or `none`; `own` says whether they ask for themselves;
    `way_back`, whether the maker's own role does not grant the person's, and nobody's does who is left.
    """
    known: dict[str, str | int] = {
        "person": str(change.person),
        "own": "yes" if change.person == maker else "no",
        "way_back": "yes" if way_back else "no",
    }
    if isinstance(change, Join):
        known["role"] = change.roles[0] if len(change.roles) == 1 else SEVERAL if change.roles else NONE
    if isinstance(change, GrantRole | EndRole):
        known["role"] = change.role
    if isinstance(change, GrantRole):
        known["role_hours"] = change.hours
    if isinstance(change, AddPasskey):
        known |= {"attestation": change.attestation, "aaguid": change.aaguid}
    return {name: value for name, value in known.items() if name in change.tells}


def payload(
    change: Change, *, deployment: str, maker: UUID, name: str, reason: str
) -> dict[str, canonical.Value]:
    """What is signed; `name` is how the person is called now, for whoever reads it."""
    return {
        "v": getattr(change, "version", 1),
        "kind": change.kind,
        "deployment": deployment,
        "maker": str(maker),
        "person": str(change.person),
        "person_name": name,
        "reason": reason,
        **change.facts(),
    }


def read(data: bytes) -> Change:
    """The change that these canonical bytes describe."""
    members = canonical.decode_object(data)
    made = BY_KIND[str(members["kind"])]
    fields = {field.name: members[field.name] for field in dataclasses.fields(made) if field.name != "person"}
    if "roles" in fields:
        fields["roles"] = tuple(fields["roles"])  # type: ignore[arg-type]
    return made(person=UUID(str(members["person"])), **fields)  # type: ignore[arg-type]


def roles_given(change: Change) -> frozenset[str]:
    """The roles that the change would give somebody."""
    if isinstance(change, Join):
        return frozenset(change.roles)
    return frozenset({change.role}) if isinstance(change, GrantRole) else frozenset()
