"""Asking for a change to the staff; two others decide.

Whoever asks for others grants nothing above their own role, and gives nobody above it their rights back. An
SRE may ask for a role for themselves, for a shift; then it is the two who answer that must be able to grant
it (`core.staff.kinds`).
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db.models import Func, TextField, Value

from core import approvals, audit, outbox
from core.access import rights
from core.access.models import Identity, Kind
from core.access.permissions import Permission
from core.access.roles import Role
from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.refusals import NotAllowed, NotFound, Refused
from core.staff import ranks
from core.staff.domain import changes
from core.staff.events import Event, OfficerToldOfWayBack, OutsideToldOfWayBack


class AboveOwnRole(NotAllowed):
    """Nobody grants above their own role, or gives rights back above it."""

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
    way_back = _asks_for_a_way_back(change, maker, now, own_elevation=own_elevation)
    floor = ranks.way_back(maker=maker.pk, person=change.person, now=now) if way_back else changes.TEAMS
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
        after={"kind": change.kind, **change.facts(), "way_back": way_back},
        reason=reason.strip(),
    )
    row = approvals.open(
        change.kind,
        payload,
        maker=maker,
        teams=floor,
        subject=target,
        actor=actor,
        now=now,
        facts=changes.told(change, maker=maker.pk, way_back=way_back),
    )
    if way_back:
        _alert_everybody(row, maker, now=now)
    return row


def _asks_for_a_way_back(
    change: changes.Change, maker: Identity, now: datetime, *, own_elevation: bool
) -> bool:
    """Whether it gives back a role that nobody who is left grants. Refused where it is above the maker's own
    role and somebody else could ask for it.
    """
    if unknown := changes.roles_given(change) - set(Role):
        raise CannotPropose(f"There is no role {', '.join(sorted(unknown))}.")
    roles = ranks.given(change, now)
    returns = isinstance(change, changes.RETURNS)
    if own_elevation or not roles or (returns and change.person == maker.pk):
        return False
    if change.person == maker.pk:
        raise OwnRole(
            "Nobody asks for a role for themselves; ask a colleague to.", target=f"access.identity/{maker.pk}"
        )
    above = ranks.above(rights.standing_roles_of(maker, now), roles)
    if not above:
        return False
    names = ", ".join(role.label for role in above)
    if not returns:
        raise AboveOwnRole(f"Your own role does not grant {names}; a senior officer's may.")
    if ranks.somebody_grants(roles, apart_from=change.person, now=now):
        raise AboveOwnRole(
            f"Nothing was proposed: this person is {names}, which is above your own role. Ask a colleague "
            "who may grant it; a senior officer may grant every role.",
            target=f"access.identity/{change.person}",
        )
    return True


def _alert_everybody(row: ApprovalRequest, maker: Identity, *, now: datetime) -> None:
    """A role that nobody is left to grant is asked back from below: who finds that odd must hear of it."""
    subject = "A way back from a lost role is asked for"
    text = (
        f"{subject}.\n\n"
        f"By: {maker.display_name}\n"
        "Nobody on the staff is left whose role grants what this gives back, so somebody below asks for it,\n"
        "and more people than otherwise must agree. If you did not expect this, reject it first and ask\n"
        f"afterwards: {settings.CONSOLE_ORIGIN}/approvals/{row.pk}/\n"
    )
    told = {"request": str(row.pk), "subject": subject, "text": text}
    for person in Identity.objects.filter(kind=Kind.OFFICER, is_active=True).values_list("pk", flat=True):
        outbox.publish(OfficerToldOfWayBack(identity=str(person), **told), now=now)
    outbox.publish(OutsideToldOfWayBack(at=now.isoformat(timespec="seconds"), **told), now=now)


def _name_of(change: changes.Change) -> str:
    """How the person is called. Who joins must not be on the staff yet, everybody else must be.

    A service is suspended as people are, so it comes back, or ends, in the same way; nothing is given to one.
    """
    of_services = isinstance(change, changes.Restore | changes.EndRole | changes.Leave)
    found = [Kind.OFFICER, Kind.SERVICE] if of_services else [Kind.OFFICER]
    row = Identity.objects.filter(pk=change.person, kind__in=found).first()
    if isinstance(change, changes.Join):
        if row is not None or Identity.objects.filter(kind=Kind.OFFICER, email=change.email).exists():
            raise CannotPropose("Nothing was proposed: this person is enrolled already.")
        if namesake := _of_the_same_mailbox(change.email):
            raise CannotPropose(
                f"Nothing was proposed: {namesake.display_name} is enrolled under {namesake.email}, which is "
                "the same mailbox, and one person counts once. Somebody else joins under an address that "
                "differs by more than dots, capitals and what follows a plus sign."
            )
        return change.name
    if row is None:
        raise NotFound("There is no such member of staff.", target=f"access.identity/{change.person}")
    if isinstance(change, changes.Restore) and row.is_active:
        raise CannotPropose("Nothing was proposed: this person is not suspended.")
    return row.display_name


def _of_the_same_mailbox(email: str) -> Identity | None:
    """The member of staff whose address is another spelling of this one; see `core.access.accounts`."""
    mailbox = Func(Value(email), function="access_mailbox")
    staff = Identity.objects.filter(kind=Kind.OFFICER)
    return (
        staff.annotate(mailbox=Func("email", function="access_mailbox", output_field=TextField()))
        .filter(mailbox=mailbox)
        .first()
    )
