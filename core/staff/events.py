"""What happens to the staff, for the audit log and for open connections."""

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


@outbox.message("staff.rights_changed")
class RightsChanged:
    """Somebody's rights are other than before: open connections of theirs end or look again."""

    identity: str
    what: str
