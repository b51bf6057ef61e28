"""What the audit log says of itself."""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """Events of the log's own area."""

    EXPORTED = "audit.exported"
    EVENT_GONE = "audit.event.gone"
    TESTIMONIES_LOST = "audit.testimonies.lost"
    EVENT_READ = "audit.event.read"
    PERSONAL_READ = "audit.personal_read"
