"""Writing down what testimonies showed: an event that is not what was committed, or that some were lost."""

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


@action(Event.EVENT_GONE)
def report_more_gone(*, count: int, actor: Actor, now: datetime) -> None:
    """So many more events within the minute, of which none is named: too many for each to have a line."""
    log.error("%s more audit events are not the ones that were committed", count)
    audit.record(Event.EVENT_GONE, "audit.log", actor=actor, now=now, after={"count": count})


@action(Event.TESTIMONIES_LOST)
def report_lost(*, count: int, actor: Actor, now: datetime) -> None:
    """So many events were committed of which the sealer was told nothing: there was no room."""
    log.error("%s testimonies were lost: there was no room for them", count)
    audit.record(Event.TESTIMONIES_LOST, "audit.log", actor=actor, now=now, after={"count": count})
