"""What happens to the staff, for the audit log; open connections hear of it as of every act."""

from __future__ import annotations

from enum import StrEnum

from core import outbox


class Event(StrEnum):
    """Asking for a change, each change, and the one thing that a single person may do: suspend."""

    PROPOSED = "staff.change.proposed"
    SUSPENDED = "staff.person.suspended"
    RESTORED = "staff.person.restored"
    JOINED = "staff.person.joined"
    LEFT = "staff.person.left"
    SUBJECT_BOUND = "staff.person.subject_bound"
    ROLE_GRANTED = "staff.role.granted"
    ROLE_ENDED = "staff.role.ended"
    ELEVATION_ENDED = "staff.elevation.ended"
    ACCOUNT_DECLARED = "staff.account.declared"
    PASSKEY_ADDED = "staff.passkey.added"
    PASSKEY_REVOKED = "staff.passkey.revoked"


@outbox.message("staff.officer_told_of_way_back")
class OfficerToldOfWayBack:
    """One officer is told that a role which nobody is left to grant is asked back from below."""

    identity: str
    request: str
    subject: str
    text: str


@outbox.message("staff.outside_told_of_way_back")
class OutsideToldOfWayBack:
    """The same, once, for whoever watches from outside."""

    request: str
    subject: str
    text: str
    at: str
