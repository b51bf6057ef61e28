"""Taking a signing passkey away: at once, by its owner or by whoever may suspend people."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import audit, endings
from core.access import rights
from core.access.models import OfficerCredential
from core.access.permissions import Permission
from core.action import action
from core.actor import Actor
from core.refusals import NotFound, Refused
from core.staff.actions.suspensions import ReasonMissing
from core.staff.events import Event


class RevokedAlready(Refused):
    """Somebody was quicker."""

    code = "staff.revoked_already"


def _whose(*, credential: UUID, **_: object) -> endings.People:
    return endings.of(*OfficerCredential.objects.filter(pk=credential).values_list("officer", flat=True))


@action(Event.PASSKEY_REVOKED, people=_whose)
def revoke_passkey(*, credential: UUID, reason: str, actor: Actor, now: datetime) -> OfficerCredential:
    """The passkey signs nothing from now on, and what it agreed to and has not happened yet lacks an answer.
    Another in its place needs two others (`AddPasskey`).

    Signers keep a registry of their own: there the passkey ends by the next registry.
    """
    row = OfficerCredential.objects.select_for_update().filter(pk=credential).first()
    officer = rights.officer_behind(actor)
    mine = row is not None and officer is not None and row.officer_id == officer.pk
    if row is None or not (mine or rights.allowed(officer, Permission.SUSPEND_STAFF, now)):
        raise NotFound("There is no such passkey.", target=f"access.officercredential/{credential}")
    target = f"access.identity/{row.officer_id}"
    if not reason.strip():
        raise ReasonMissing("Nothing was taken away: say why.", target=target)
    if row.revoked_at is not None:
        raise RevokedAlready("This passkey is revoked already.", target=target)
    OfficerCredential.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=now)
    row.revoked_at = now
    audit.record(
        Event.PASSKEY_REVOKED,
        target,
        actor=actor,
        now=now,
        after={"credential_id": row.credential_id, "label": row.label},
        reason=reason.strip(),
    )
    return row
