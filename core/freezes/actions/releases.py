"""Letting go: one officer asks, two others sign, and only then the freeze ends.

Whoever pulled it may ask, and is never one of the two. So they can neither release it with one other person
nor keep others from releasing it: their rejection counts no more than their agreement.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from core import approvals, audit, outbox
from core.access import rights
from core.access.models import Identity
from core.action import action
from core.actor import Actor
from core.approvals.kinds import Kind
from core.approvals.models import ApprovalRequest
from core.freezes.events import Event, FreezeReleased
from core.freezes.models import Freeze
from core.freezes.permissions import Permission
from core.refusals import NotAllowed, NotFound, Refused
from kernel import canonical

TEAMS: Final = {"officers": 2}


class NotInForce(Refused):
    """The freeze has been released already."""

    code = "freeze.not_in_force"


class ReasonMissing(Refused):
    """A release says why it is safe again."""

    code = "freeze.reason_missing"
    status = 422


@action(Event.RELEASE_ASKED)
def ask_release(*, freeze_id: UUID, reason: str, actor: Actor, now: datetime) -> ApprovalRequest:
    """Open the request on which two others decide. The freeze stays in force until they have."""
    freeze = _locked(freeze_id)
    officer = rights.officer_behind(actor)
    if officer is None or not rights.allowed(officer, Permission.ASK_RELEASE, now):
        raise NotAllowed("Your role does not ask for a release.", target=_name(freeze_id))
    if not reason.strip():
        raise ReasonMissing("Nothing was asked: say why it is safe to let go.", target=_name(freeze_id))
    payload: dict[str, canonical.Value] = {
        "v": 1,
        "kind": KIND.name,
        "deployment": settings.DEPLOYMENT,
        "freeze": str(freeze.pk),
        "scope": freeze.scope,
        "pulled_at": f"{freeze.pulled_at:%Y-%m-%dT%H:%M:%SZ}",
        "frozen_because": freeze.reason,
        "reason": reason.strip(),
        "maker": str(officer.pk),
    }
    audit.record(
        Event.RELEASE_ASKED,
        freeze,
        actor=actor,
        now=now,
        after={"scope": freeze.scope},
        reason=reason.strip(),
    )
    return approvals.open(
        KIND,
        payload,
        maker=officer,
        teams=TEAMS,
        subject=freeze,
        actor=actor,
        now=now,
        facts={"scope": freeze.scope, "scope_class": freeze.scope.partition(":")[0]},
    )


def _release(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """End the freeze in the transaction of the deciding signature."""
    freeze = _locked(UUID(request.subject.rpartition("/")[2]))
    approvals.consume(request, now=now)
    Freeze.objects.filter(pk=freeze.pk, released_at=None).update(released_at=now, release_request=request.pk)
    audit.record(
        Event.RELEASED, freeze, actor=actor, now=now, after={"request": request.pk, "scope": freeze.scope}
    )
    outbox.publish(FreezeReleased(freeze=str(freeze.pk), scope=freeze.scope), now=now)


def _pulled_it(request: ApprovalRequest, officer: Identity) -> str | None:
    if not Freeze.objects.filter(pk=request.subject.rpartition("/")[2], pulled_by=officer).exists():
        return None
    return "You pulled this freeze, so two others must agree that it is safe again. You may ask for it."


def _locked(freeze_id: UUID) -> Freeze:
    freeze = Freeze.objects.select_for_update().filter(pk=freeze_id).first()
    if freeze is None:
        raise NotFound("There is no such freeze.", target=_name(freeze_id))
    if freeze.released_at is not None:
        raise NotInForce("This freeze has been released already.", target=_name(freeze_id))
    return freeze


def _name(freeze_id: UUID) -> str:
    return f"freezes.freeze/{freeze_id}"


KIND: Final = Kind(
    name="freezes.release",
    permission=Permission.APPROVE_RELEASE,
    on_approved=_release,
    title="Release of a freeze",
    floor=TEAMS,
    facts=frozenset({"scope", "scope_class"}),
    conflict=_pulled_it,
)
