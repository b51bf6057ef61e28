"""Taking an authenticator away: at once, by its owner or by whoever may suspend people."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import approvals, audit, endings, outbox
from core.access import rights
from core.access.permissions import Permission
from core.action import action
from core.actor import Actor
from core.approvals.kinds import named
from core.factors.domain import enrolments
from core.factors.domain.factors import NEXT, State
from core.factors.events import Event, FactorsChanged
from core.factors.models import Code, Factor, Passkey
from core.refusals import NotFound, Refused


class EndedAlready(Refused):
    """Somebody was quicker."""

    code = "factors.ended_already"


class ReasonMissing(Refused):
    """Losing an authenticator is told with how it was lost."""

    code = "factors.reason_missing"
    status = 422


def _whose(*, factor_id: UUID, **_: object) -> endings.People:
    owners = (each.objects.filter(pk=factor_id).values_list("user", flat=True) for each in (Passkey, Code))
    return endings.of(*(person for found in owners for person in found))


@action(Event.ENDED, people=_whose)
def end_factor(*, factor_id: UUID, reason: str, actor: Actor, now: datetime) -> Factor:
    """The authenticator is worth nothing from now on. Another in its place needs the second person again.

    One that was still waiting for the second person waits no longer: its request is taken back with it.
    """
    row = locked(factor_id)
    officer = rights.officer_behind(actor)
    mine = row is not None and officer is not None and row.user_id == officer.pk
    if row is None or not (mine or rights.allowed(officer, Permission.SUSPEND_STAFF, now)):
        raise NotFound("There is no such authenticator.", target=f"factors/{factor_id}")
    target = f"access.identity/{row.user_id}"
    if not reason.strip():
        raise ReasonMissing("Nothing was taken away: say why.", target=target)
    before = row.state
    end(row, now=now)
    if before == State.PENDING:
        # Whoever is agreeing to it at this moment finds it ended.
        approvals.take_back(named(_enrolment(row)), target, actor=actor, now=now)
    audit.record(
        Event.ENDED,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": row.state, "person": row.user_id, "label": row.label, "kind": row.kind},
        reason=reason.strip(),
    )
    outbox.publish(FactorsChanged(identity=str(row.user_id), factor=str(row.pk), what="ended"), now=now)
    return row


def _enrolment(row: Factor) -> str:
    """The kind of the request that would have made it count."""
    if isinstance(row, Passkey):
        return (enrolments.SealedKey if row.sealed else enrolments.Passkey).kind
    return enrolments.Code.kind


def locked(factor_id: UUID) -> Factor | None:
    """The authenticator of that id, of either kind, locked until the action ends."""
    for model in (Passkey, Code):
        found: Factor | None = model.objects.select_for_update().filter(pk=factor_id).first()
        if found is not None:
            return found
    return None


def end(row: Factor, *, now: datetime) -> None:
    """Move it to its end; EndedAlready where it has ended."""
    if State.ENDED not in NEXT[State(row.state)]:
        raise EndedAlready("It is ended already.", target=f"access.identity/{row.user_id}")
    type(row).objects.filter(pk=row.pk, state=row.state).update(state=State.ENDED, ended_at=now)
    row.state = State.ENDED
