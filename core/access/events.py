"""What the access app writes into the audit log."""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """Acts on identities, roles and keys, and refusals at the door that name a known person."""

    STAFF_FOUNDED = "access.staff.founded"
    DOOR_REFUSED = "access.door.refused"
    VIEW_REFUSED = "access.view.refused"
    PERSON_SUSPENDED = "access.person.suspended"
    PERSON_RESTORED = "access.person.restored"
    PERSON_JOINED = "access.person.joined"
    SUBJECT_BOUND = "access.person.subject_bound"
    ROLE_GRANTED = "access.role.granted"
    ROLE_REVOKED = "access.role.revoked"
    CREDENTIAL_ADDED = "access.credential.added"
    CREDENTIAL_REVOKED = "access.credential.revoked"
    PROPOSED = "access.staff.proposed"
