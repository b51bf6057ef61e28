"""Telling that a withdrawal, refill or sweep moved: to whoever takes it on, and the screens that show it."""

from __future__ import annotations

from datetime import datetime

from core import outbox
from custody.events import RefillMoved, SweepMoved, WithdrawalMoved
from custody.models import Owner, Refill, Withdrawal


def moved(owner: Owner, *, now: datetime) -> None:
    """Publish where it stands now."""
    state = str(owner.state)
    if isinstance(owner, Withdrawal):
        outbox.publish(WithdrawalMoved(withdrawal=owner.pk, customer=owner.customer_id, state=state), now=now)
    elif isinstance(owner, Refill):
        outbox.publish(RefillMoved(refill=owner.pk, state=state), now=now)
    else:
        outbox.publish(SweepMoved(sweep=owner.pk, state=state), now=now)
