"""What people are told of the venue when it cannot wait until somebody looks at a screen."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from core import outbox
from core.access import rights
from core.access.models import Identity, Kind
from core.factors.events import OfficerTold, OutsideTold
from engine_bridge.models import EngineCursor
from engine_bridge.permissions import Permission


def settlement_stands(cursor: EngineCursor, reason: str, *, now: datetime) -> None:
    """Tell whoever may see the markets by mail, and the webhook: trading goes on, and nothing of it is
    booked until somebody has looked.
    """
    subject = "Settlement stands still"
    text = (
        f"{subject}. Trading goes on, but nothing of it is booked: balances, orders and fills are as of\n"
        f"event {cursor.last_event_seq}. Nothing was skipped; it goes on by itself without the cause.\n\n"
        f"Why: {reason}\n\n"
        f"See {settings.CONSOLE_ORIGIN}/engine/ and the runbook engine-down.\n"
    )
    told = {
        "notice": f"settlement/{cursor.shard}/{now:%Y%m%dT%H%M%S}",
        "subject": subject,
        "text": text,
    }
    for person in Identity.objects.filter(kind=Kind.OFFICER, is_active=True):
        if rights.allowed(person, Permission.SEE_MARKETS, now):
            outbox.publish(OfficerTold(identity=str(person.pk), **told), now=now)
    outbox.publish(OutsideTold(at=now.isoformat(timespec="seconds"), **told), now=now)
