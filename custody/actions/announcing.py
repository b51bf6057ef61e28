"""Telling that a withdrawal or refill moved: whoever takes it on listens, and the screens that show it."""

from __future__ import annotations

from datetime import datetime

from core import outbox
from custody.events import RefillMoved, WithdrawalMoved
from custody.models import Refill, Withdrawal


def moved(owner: Withdrawal | Refill, *, now: datetime) -> None:
    """Publish where it stands now."""
    state = str(owner.state)
    if isinstance(owner, Withdrawal):
        outbox.publish(WithdrawalMoved(withdrawal=owner.pk, customer=owner.customer_id, state=state), now=now)
    else:
        outbox.publish(RefillMoved(refill=owner.pk, state=state), now=now)
