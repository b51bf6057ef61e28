"""Pulling a freeze: a primitive, so that an automatic alarm can pull one inside its own action."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core import action, audit, outbox
from core.actor import Actor
from core.freezes.domain.scopes import checked
from core.freezes.events import Event, FreezePulled
from core.freezes.models import Freeze

REASON_MAX: Final = Freeze._meta.get_field("reason").max_length


def pull(scope: str, *, reason: str, actor: Actor, now: datetime) -> Freeze:
    """Bring a freeze into force, or give back the one that is: pulling twice is no error.

    Whatever is too long to be kept is cut off: nothing is left running because somebody explained at length.
    """
    action.current()
    row, created = Freeze.objects.get_or_create(
        scope=checked(scope),
        released_at=None,
        defaults={"reason": reason.strip()[:REASON_MAX], "pulled_by_id": actor.identity, "pulled_at": now},
    )
    if created:
        audit.record(Event.PULLED, row, actor=actor, now=now, after={"scope": scope}, reason=row.reason)
        outbox.publish(FreezePulled(freeze=str(row.pk), scope=scope), now=now)
    return row
