"""Proof that an alert left the house."""

from __future__ import annotations

from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from core.factors.domain.alerts import Alert, Notice
from core.factors.events import Event
from core.factors.models import HandedOver


@action(Event.ALERT_HANDED_OVER)
def record_alert(*, alert: Alert, receipt: str, actor: Actor, now: datetime) -> HandedOver:
    """Write down that a server took it, once: of two workers that sent the same alert one is written down."""
    row, made = HandedOver.objects.get_or_create(
        pk=alert.id,
        defaults={
            "glass_id": alert.glass,
            "what": alert.what,
            "channel": alert.channel,
            "person_id": alert.person or None,
            "receipt": receipt[:200],
            "handed_over_at": now,
        },
    )
    if made:
        _record(f"factors.glass/{alert.glass}", alert, alert.what, row.receipt, actor=actor, now=now)
    return row


@action(Event.ALERT_HANDED_OVER)
def record_notice(*, notice: Notice, receipt: str, actor: Actor, now: datetime) -> None:
    """Write down that a server took a notice."""
    _record(f"factors.notice/{notice.name}", notice, notice.subject, receipt[:200], actor=actor, now=now)


def _record(
    target: str, told: Alert | Notice, what: str, receipt: str, *, actor: Actor, now: datetime
) -> None:
    after = {
        "alert": told.id,
        "channel": told.channel,
        "what": what,
        "person": told.person,
        "receipt": receipt,
    }
    audit.record(Event.ALERT_HANDED_OVER, target, actor=actor, now=now, after=after)
