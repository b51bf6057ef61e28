"""A person whose key is destroyed, for tests of what becomes of their texts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from core import audit
from core.action import action
from core.actor import Actor
from core.audit import subjects


class Event(StrEnum):
    """What the log says of it here; in the product an erasure says it (`kyc.erasure.carried_out`)."""

    FORGOT = "test.forgot"


@action(Event.FORGOT)
def forget(*, subject: str, actor: Actor, now: datetime) -> bool:
    """Whether there was a key to destroy."""
    gone = subjects.destroy(subject, now=now)
    if gone:
        audit.record(Event.FORGOT, subject, actor=actor, now=now)
    return gone
