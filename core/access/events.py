"""What the access app writes into the audit log."""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """The founding, sessions, refusals of people who are known. Changes to the staff are in core.staff."""

    STAFF_FOUNDED = "access.staff.founded"
    DOOR_REFUSED = "access.door.refused"
    VIEW_REFUSED = "access.view.refused"
    POSTURE_REFUSED = "access.posture.refused"
    SESSION_STARTED = "access.session.started"
    SESSION_MOVED = "access.session.moved"
    SESSION_ENDED = "access.session.ended"
    SESSIONS_ALL_ENDED = "access.session.all_ended"
    PERSON_READ = "access.person.read"
