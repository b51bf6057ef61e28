"""The one change that a single person makes: taking somebody's rights away, at once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import audit, endings
from core.access import rights
from core.access.actions.sessions import close_sessions
from core.access.domain.sessions import Why
from core.access.models import Identity, Kind
from core.access.permissions import Permission
from core.action import action
from core.actor import Actor
from core.refusals import NotAllowed, NotFound, Refused
from core.staff.events import Event


class ReasonMissing(Refused):
    """A suspension says why."""

    code = "staff.reason_missing"
    status = 422


def _whom(*, person: UUID, **_: object) -> endings.People:
    return endings.of(person)


@action(Event.SUSPENDED, people=_whom)
def suspend_person(*, person: UUID, reason: str, actor: Actor, now: datetime) -> Identity:
    """End all of somebody's rights now: their next request is refused, their signatures count no longer.

    Coming back needs two others (`Restore`). Suspending somebody who is suspended changes nothing.
    """
    target = f"access.identity/{person}"
    if not rights.allowed(rights.officer_behind(actor), Permission.SUSPEND_STAFF, now):
        raise NotAllowed("Your role does not suspend people; nobody was suspended.", target=target)
    if not reason.strip():
        raise ReasonMissing("Nobody was suspended: say why.", target=target)
    row = (
        Identity.objects.select_for_update().filter(pk=person, kind__in=[Kind.OFFICER, Kind.SERVICE]).first()
    )
    if row is None:
        raise NotFound("There is no such member of staff.", target=target)
    if row.is_active:
        Identity.objects.filter(pk=row.pk, is_active=True).update(is_active=False)
        row.is_active = False
        close_sessions(row.pk, Why.SUSPENDED, now=now)
        audit.record(
            Event.SUSPENDED,
            row,
            actor=actor,
            now=now,
            before={"active": True},
            after={"active": False},
            reason=reason,
        )
    return row
