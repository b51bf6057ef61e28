"""What follows the second person's answer, in the transaction of their signature."""

from __future__ import annotations

from datetime import datetime

from core import approvals, audit, outbox
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.factors.actions.ending import end, locked
from core.factors.domain.enrolments import factor_of
from core.factors.domain.factors import State
from core.factors.events import Event, FactorsChanged
from core.refusals import Refused


class NothingToActivate(Refused):
    """The authenticator was taken away meanwhile."""

    code = "factors.nothing_to_activate"


def activate(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """Consume the approval; exactly the authenticator in its payload can be used from now on."""
    row = locked(factor_of(bytes(request.payload)))
    approvals.consume(request, now=now)
    if row is None or row.state != State.PENDING:
        raise NothingToActivate("The authenticator was taken away meanwhile; it must be registered again.")
    type(row).objects.filter(pk=row.pk, state=State.PENDING).update(state=State.ACTIVE)
    audit.record(
        Event.ADDED,
        row,
        actor=actor,
        now=now,
        after={"person": row.user_id, "label": row.label, "kind": row.kind, "request": request.pk},
    )
    outbox.publish(FactorsChanged(identity=str(row.user_id), factor=str(row.pk), what="added"), now=now)


def drop(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """Rejected, taken back or too late: the authenticator never becomes worth anything."""
    row = locked(factor_of(bytes(request.payload)))
    if row is None or row.state != State.PENDING:
        return
    end(row, now=now)
    audit.record(Event.DROPPED, row, actor=actor, now=now, after={"request": request.pk})
