"""Erasing a person from the log without touching it."""

from __future__ import annotations

from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from core.audit import subjects
from core.audit.events import Event


@action(Event.SUBJECT_FORGOTTEN)
def forget_subject(*, subject: str, reason: str, actor: Actor, now: datetime) -> bool:
    """Destroy the key of a person's texts in the log; False if there was none. It cannot be undone."""
    if not subjects.destroy(subject, now=now):
        return False
    audit.record(Event.SUBJECT_FORGOTTEN, subject, actor=actor, now=now, reason=reason)
    return True
