"""The effective tier: decided in the kyc app, written here."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import action, audit, outbox
from core.actor import Actor
from core.refusals import NotFound
from customers.events import Event, TierSet
from customers.models import TIER_MAX, Customer


def set_tier(*, customer_id: UUID, tier: int, reason: str, actor: Actor, now: datetime) -> Customer:
    """Write the tier that the kyc app decided, inside its action. The same tier again changes nothing."""
    action.current()
    if not 0 <= tier <= TIER_MAX:
        raise ValueError(f"no tier {tier}")
    row = Customer.objects.select_for_update().filter(pk=customer_id).first()
    if row is None:
        raise NotFound("There is no such customer.", target=f"customers.customer/{customer_id}")
    before = row.tier
    if before == tier:
        return row
    Customer.objects.filter(pk=row.pk, tier=before).update(tier=tier)
    row.tier = tier
    audit.record(
        Event.TIER_SET,
        row,
        actor=actor,
        now=now,
        before={"tier": before},
        after={"tier": tier},
        reason=reason,
    )
    outbox.publish(TierSet(customer=str(row.pk), before=before, after=tier), now=now)
    return row
