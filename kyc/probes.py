"""The health screen's lines about identity providers: what waits, what is no use, who does not answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.health import Reading, Status
from kyc.models import ProviderApplicant, UnverifiedDelivery, WebhookDelivery

WAITING_MAX: Final = timedelta(minutes=5)
LOOK_BACK: Final = timedelta(days=1)


def deliveries(now: datetime) -> Reading:
    """Webhooks of the last day: those that wait too long, and those that nobody could use."""
    recent = WebhookDelivery.objects.filter(received_at__gt=now - LOOK_BACK)
    state = WebhookDelivery.State
    facts = {
        "received": recent.count(),
        "waiting": recent.filter(state=state.NEW, received_at__lt=now - WAITING_MAX).count(),
        "unusable": recent.filter(state__in=[state.POISON, state.ORPHAN]).count(),
        "unsigned, in minutes": UnverifiedDelivery.objects.filter(minute__gt=now - LOOK_BACK).count(),
    }
    if facts["waiting"]:
        return Reading(Status.DOWN, "Webhooks are stored and not worked on: look at the workers.", facts)
    if facts["unusable"] or facts["unsigned, in minutes"]:
        return Reading(Status.DEGRADED, "Webhooks came that could not be used or were not signed.", facts)
    return Reading(Status.UP, "Every webhook of the last day was understood.", facts)


def providers(now: datetime) -> Reading:
    """Applicants whose provider could not be asked when it was last tried."""
    stuck = ProviderApplicant.objects.exclude(trouble="")
    facts = {"applicants affected": stuck.count()}
    if facts["applicants affected"]:
        return Reading(Status.DEGRADED, f"A provider could not be asked: {stuck[0].trouble}.", facts)
    return Reading(Status.UP, "Providers answered when they were last asked.", facts)
