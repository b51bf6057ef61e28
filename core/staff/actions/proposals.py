"""Asking for a change to the staff; two others decide.

Whoever asks for others grants nothing above their own role. An SRE may ask for a role for themselves, for a
shift; then it is the two who answer that must be able to grant it (`core.staff.kinds`).
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from core import approvals, audit
from core.access import rights
from core.access.models import Identity, Kind
from core.access.permissions import Permission
from core.access.roles import GRANTED_BY, Role
from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.refusals import NotAllowed, NotFound, Refused
from core.staff.domain import changes
from core.staff.events import Event


class AboveOwnRole(NotAllowed):
    """Nobody grants above their own role."""

    code = "staff.above_own_role"


class OwnRole(NotAllowed):
    """Nobody asks for a role for themselves."""

    code = "staff.own_role"


class CannotPropose(Refused):
    """The change makes no sense as it stands."""

    code = "staff.cannot_propose"
    status = 422


@action(Event.PROPOSED)
def propose_change(*, change: changes.Change, reason: str, actor: Actor, now: datetime) -> ApprovalRequest:
    """Put the change before two others. Nothing changes until both have signed exactly this."""
    target = f"access.identity/{change.person}"
    maker = rights.officer_behind(actor)
    own_passkey = (
        isinstance(change, changes.AddPasskey | changes.RevokePasskey) and actor.identity == change.person
    )
    own_elevation = (
        isinstance(change, changes.GrantRole)
        and change.person == actor.identity
        and change.hours > 0
        and rights.allowed(maker, Permission.ASK_ELEVATION, now)
    )
    if maker is None or not (
        own_passkey or own_elevation or rights.allowed(maker, Permission.PROPOSE_STAFF, now)
    ):
        raise NotAllowed("Your role does not propose changes to the staff.", target=target)
    if not reason.strip():
        raise CannotPropose("Nothing was proposed: say why.", target=target)
    if not own_elevation:
        _within_own_role(change, maker, now)
    name = _name_of(change)
    try:
        payload = changes.payload(
            change, deployment=settings.DEPLOYMENT, maker=maker.pk, name=name, reason=reason.strip()
        )
    except changes.BadChange as error:
        raise CannotPropose(f"Nothing was proposed: {error}", target=target) from error
    audit.record(
        Event.PROPOSED,
        target,
        actor=actor,
        now=now,
        after={"kind": change.kind, **change.facts()},
        reason=reason.strip(),
    )
    return approvals.open(
        change.kind,
        payload,
        maker=maker,
        teams=changes.TEAMS,
        subject=target,
        actor=actor,
        now=now,
        facts=changes.told(change, maker=maker.pk),
    )


def _within_own_role(change: changes.Change, maker: Identity, now: datetime) -> None:
    given = changes.roles_given(change)
    if not given:
        return
    if change.person == maker.pk:
        raise OwnRole(
            "Nobody asks for a role for themselves; ask a colleague to.", target=f"access.identity/{maker.pk}"
        )
    if unknown := given - set(Role):
        raise CannotPropose(f"There is no role {', '.join(sorted(unknown))}.")
    held = rights.standing_roles_of(maker, now)
    above = sorted(role for role in given if not held & GRANTED_BY[Role(role)])
    if above:
        raise AboveOwnRole(f"Your own role does not grant {', '.join(above)}; a senior officer's may.")


def _name_of(change: changes.Change) -> str:
    """How the person is called. Who joins must not be on the staff yet, everybody else must be."""
    row = Identity.objects.filter(pk=change.person, kind=Kind.OFFICER).first()
    if isinstance(change, changes.Join):
        if row is not None or Identity.objects.filter(kind=Kind.OFFICER, email=change.email).exists():
            raise CannotPropose("Nothing was proposed: this person is enrolled already.")
        return change.name
    if row is None:
        raise NotFound("There is no such member of staff.", target=f"access.identity/{change.person}")
    if isinstance(change, changes.Restore) and row.is_active:
        raise CannotPropose("Nothing was proposed: this person is not suspended.")
    return row.display_name
