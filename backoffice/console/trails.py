"""The audit trail beside a row, for those who may read the log."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import Model

from core import access
from core.access.models import Identity
from core.audit import queries
from core.audit.models import AuditEvent
from core.audit.permissions import Permission
from core.audit.writing import name_of

LENGTH_MAX: Final = 50


def about(row: Model, *, identity: Identity, now: datetime) -> list[AuditEvent] | None:
    """What happened to the row, newest first; None for somebody who may not read the log."""
    if not access.allowed(identity, Permission.SEE_EVENTS, now):
        return None
    return queries.events(target=name_of(row), limit=LENGTH_MAX)
