"""Writing down which accounts as a customer are a staff member's own."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import audit, endings
from core.access import rights
from core.access.models import Identity, Kind, OwnAccount
from core.access.permissions import Permission
from core.action import action
from core.actor import Actor
from core.refusals import NotAllowed, NotFound
from core.staff.events import Event


def _whose(*, person: UUID, **_: object) -> endings.People:
    return endings.of(person)


@action(Event.ACCOUNT_DECLARED, people=_whose)
def declare_account(*, person: UUID, customer: UUID, actor: Actor, now: datetime) -> OwnAccount:
    """From now on this officer answers nothing about this customer's account. It is never taken back.

    Everybody declares their own; those who may suspend people write down what others have declared. An
    account that is recorded already stays as it is.
    """
    target = f"access.identity/{person}"
    officer = rights.officer_behind(actor)
    if officer is None or (
        officer.pk != person and not rights.allowed(officer, Permission.SUSPEND_STAFF, now)
    ):
        raise NotAllowed("You declare your own accounts only; nothing was recorded.", target=target)
    if not Identity.objects.filter(pk=person, kind=Kind.OFFICER).exists():
        raise NotFound("There is no such member of staff.", target=target)
    if not Identity.objects.filter(pk=customer, kind=Kind.CUSTOMER).exists():
        raise NotFound("There is no customer with this id; nothing was recorded.", target=target)
    row, made = OwnAccount.objects.get_or_create(
        officer_id=person, customer_id=customer, defaults={"found_by": "declared", "recorded_at": now}
    )
    if made:
        audit.record(Event.ACCOUNT_DECLARED, target, actor=actor, now=now, after={"customer": customer})
    return row
