"""Carrying out an approved change, in the transaction of the deciding signature."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from core import approvals, audit
from core.access.actions.sessions import close_sessions
from core.access.domain.sessions import Why
from core.access.models import Identity, Kind, OfficerCredential, RoleGrant
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.refusals import Refused
from core.staff.domain import changes
from core.staff.events import Event

UNIQUE_VIOLATION: Final = "23505"


class NothingToChange(Refused):
    """What was approved is already so, or can no longer be done."""

    code = "staff.nothing_to_change"


def apply(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """Consume the approval and do exactly what its payload says; the payload is read, no row is trusted."""
    change = changes.read(bytes(request.payload))
    approvals.consume(request, now=now)
    try:
        with transaction.atomic():
            event = _carry_out(change, request, now)
    except IntegrityError as error:
        if getattr(error.__cause__, "sqlstate", "") != UNIQUE_VIOLATION:
            raise
        raise NothingToChange("Somebody else has this e-mail, subject or passkey already.") from error
    audit.record(
        event,
        f"access.identity/{change.person}",
        actor=actor,
        now=now,
        after={
            "request": request.pk,
            "maker": request.maker_id,
            "way_back": request.facts.get("way_back") == "yes",
            **change.facts(),
        },
    )


@functools.singledispatch
def _carry_out(change: object, request: ApprovalRequest, now: datetime) -> Event:
    raise TypeError(type(change).__name__)


@_carry_out.register
def _join(change: changes.Join, request: ApprovalRequest, now: datetime) -> Event:
    Identity.objects.create(
        id=change.person,
        kind=Kind.OFFICER,
        email=change.email,
        display_name=change.name,
        access_subject=change.subject,
    )
    for role in change.roles:
        RoleGrant.objects.create(identity_id=change.person, role=role, granted_at=now, request=request.pk)
    return Event.JOINED


@_carry_out.register
def _grant(change: changes.GrantRole, request: ApprovalRequest, now: datetime) -> Event:
    until = now + timedelta(hours=change.hours) if change.hours else None
    if until is None and _standing(change.person, now).filter(role=change.role, valid_until=None).exists():
        raise NothingToChange("The person holds this role already.")
    RoleGrant.objects.create(
        identity_id=change.person, role=change.role, granted_at=now, valid_until=until, request=request.pk
    )
    return Event.ROLE_GRANTED


@_carry_out.register
def _end(change: changes.EndRole, request: ApprovalRequest, now: datetime) -> Event:
    if not _standing(change.person, now).filter(role=change.role).update(revoked_at=now):
        raise NothingToChange("The person does not hold this role.")
    return Event.ROLE_ENDED


@_carry_out.register
def _leave(change: changes.Leave, request: ApprovalRequest, now: datetime) -> Event:
    RoleGrant.objects.filter(identity_id=change.person, revoked_at=None).update(revoked_at=now)
    OfficerCredential.objects.filter(officer_id=change.person, revoked_at=None).update(revoked_at=now)
    Identity.objects.filter(pk=change.person).update(is_active=False)
    close_sessions(change.person, Why.SUSPENDED, now=now)
    return Event.LEFT


@_carry_out.register
def _restore(change: changes.Restore, request: ApprovalRequest, now: datetime) -> Event:
    if not Identity.objects.filter(pk=change.person, is_active=False).update(is_active=True):
        raise NothingToChange("The person is not suspended.")
    return Event.RESTORED


@_carry_out.register
def _rebind(change: changes.Rebind, request: ApprovalRequest, now: datetime) -> Event:
    Identity.objects.filter(pk=change.person).update(access_subject=change.subject)
    # The old account's token opens nothing any more, and what it had open ends with it.
    close_sessions(change.person, Why.REBOUND, now=now)
    return Event.SUBJECT_BOUND


@_carry_out.register
def _add_passkey(change: changes.AddPasskey, request: ApprovalRequest, now: datetime) -> Event:
    OfficerCredential.objects.create(
        officer_id=change.person,
        credential_id=change.credential_id,
        public_key=change.public_key,
        label=change.label,
        added_by_id=request.maker_id,
        added_at=now,
    )
    return Event.PASSKEY_ADDED


@_carry_out.register
def _revoke_passkey(change: changes.RevokePasskey, request: ApprovalRequest, now: datetime) -> Event:
    mine = OfficerCredential.objects.filter(officer_id=change.person, revoked_at=None)
    if not mine.filter(credential_id=change.credential_id).update(revoked_at=now):
        raise NothingToChange("The person has no such passkey.")
    return Event.PASSKEY_REVOKED


def _standing(person: UUID, now: datetime) -> QuerySet[RoleGrant]:
    return RoleGrant.objects.filter(
        Q(valid_until__isnull=True) | Q(valid_until__gt=now), identity_id=person, revoked_at=None
    )
