"""One step of a request: the table, then a compare-and-swap, which the database's trigger judges again."""

from __future__ import annotations

from datetime import datetime

from django.db import DatabaseError, transaction

from core import audit, outbox
from core.actor import Actor
from core.approvals.domain.requests import NEXT, State
from core.approvals.events import Event, RequestMoved
from core.approvals.models import ApprovalRequest
from core.refusals import Conflict, Refused


class StepRefused(Refused):
    """The database counted again and said no: too few signatures in force, or the deadline has passed."""

    code = "approval.step_refused"


def move(request: ApprovalRequest, state: State, *, now: datetime) -> None:
    """Take the step and announce it; Conflict if the row moved on, StepRefused if the trigger says no."""
    before = State(request.state)
    if state not in NEXT[before]:
        raise Conflict(f"The request is {before}; it cannot become {state}.", target=target(request))
    try:
        with transaction.atomic():
            moved = ApprovalRequest.objects.filter(pk=request.pk, state=before).update(state=state)
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") != "23001":
            raise
        sentence = str(error).splitlines()[0]
        raise StepRefused(
            f"The request did not become {state}: {sentence}.", target=target(request)
        ) from error
    if not moved:
        raise Conflict("The request moved on meanwhile; look at it again.", target=target(request))
    request.state = state
    announce(request, now=now)


def withdraw(request: ApprovalRequest, *, reason: str, actor: Actor, now: datetime) -> None:
    """Take a request back that nobody has acted upon; the app that asked is told by the caller."""
    before = request.state
    move(request, State.WITHDRAWN, now=now)
    audit.record(
        Event.WITHDRAWN,
        request,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": request.state},
        reason=reason,
    )


def announce(request: ApprovalRequest, *, now: datetime) -> None:
    """Tell screens that count open work."""
    outbox.publish(RequestMoved(request=str(request.pk), kind=request.kind, state=request.state), now=now)


def target(request: ApprovalRequest) -> str:
    """The request's name in the audit log."""
    return f"approvals.approvalrequest/{request.pk}"
