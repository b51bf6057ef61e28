"""Deadlines, measured by the database's clock alone."""

from __future__ import annotations

from datetime import datetime

from django.db.models import DateTimeField, Func, Q

from core import audit
from core.actor import Actor
from core.approvals import kinds, moving
from core.approvals.domain.requests import State
from core.approvals.events import Event
from core.approvals.models import ApprovalRequest


class DatabaseClock(Func):
    """clock_timestamp(): the moment itself, where now() would be the start of the transaction."""

    function = "clock_timestamp"
    output_field = DateTimeField()
    arity = 0


DUE = Q(state=State.OPEN, approve_by__lte=DatabaseClock()) | Q(
    state=State.APPROVED, execute_by__lte=DatabaseClock()
)
"""Requests whose deadline has passed."""


def expire_if_due(request: ApprovalRequest, *, actor: Actor, now: datetime) -> bool:
    """Expire a locked request whose deadline has passed, in the open action; whether it was due."""
    if not ApprovalRequest.objects.filter(DUE, pk=request.pk).exists():
        return False
    before = request.state
    moving.move(request, State.EXPIRED, now=now)
    audit.record(
        Event.EXPIRED, request, actor=actor, now=now, before={"state": before}, after={"state": request.state}
    )
    kinds.named(request.kind).on_expired(request, actor=actor, now=now)
    return True
