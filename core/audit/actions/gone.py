"""Writing down that an event is not what it was when it was committed."""

from __future__ import annotations

import logging
from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from core.audit.domain.testimonies import Gone
from core.audit.events import Event

log = logging.getLogger(__name__)


@action(Event.EVENT_GONE)
def report_gone(*, gone: Gone, actor: Actor, now: datetime) -> None:
    """The event was changed or removed between its commit and its seal: only the database's owner can."""
    log.error("audit event %s is not the one that was committed", gone.number)
    audit.record(
        Event.EVENT_GONE,
        f"audit.auditevent/{gone.number}",
        actor=actor,
        now=now,
        before={"leaf": gone.told},
        after={"leaf": gone.found},
    )
