"""Holds on a customer's withdrawals that a clock which was far ahead has set."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import audit
from core.action import action
from core.actor import Actor
from customers import queries
from customers.domain import authenticators
from customers.events import Event
from customers.models import Customer


@action(Event.HOLD_BEGUN_ANEW)
def begin_hold_anew(*, customer_id: UUID, actor: Actor, now: datetime) -> Customer:
    """A hold that lasts longer than any does, since it was set under a clock that was ahead, lasts as long as
    the longest from now. Nobody knows when it began, so it is never cut to less; any other stays as it is.
    """
    row = Customer.objects.select_for_update(of=("self",)).get(pk=customer_id)
    before, until = row.withdrawals_held_until, now + authenticators.HELD_AFTER_LOSS
    if not queries.held_too_long(now=now).filter(pk=row.pk).exists():
        return row
    Customer.objects.filter(pk=row.pk).update(withdrawals_held_until=until)
    row.withdrawals_held_until = until
    audit.record(
        Event.HOLD_BEGUN_ANEW,
        row,
        actor=actor,
        now=now,
        before={"withdrawals_held_until": before},
        after={"withdrawals_held_until": until},
    )
    return row
