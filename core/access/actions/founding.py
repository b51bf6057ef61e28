"""The founding staff: the one time that people come in without consent of others, who do not exist yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from core import audit
from core.access.events import Event
from core.access.models import Identity, Kind, OfficerCredential, RoleGrant
from core.access.roles import Role
from core.action import action
from core.actor import Actor
from core.refusals import Refused

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('countersign/founding'))"


class FoundedAlready(Refused):
    """There are officers; from here on people join by approval."""

    code = "access.founded_already"


@dataclass(frozen=True, slots=True)
class Passkey:
    """The public half of an officer's passkey: `public_key` is an uncompressed P-256 point in hex."""

    credential_id: str
    public_key: str
    label: str = "founding passkey"


@dataclass(frozen=True, slots=True)
class Founder:
    """One person of the founding staff, with the subject under which the edge knows them."""

    id: UUID
    name: str
    email: str
    subject: str
    roles: frozenset[Role]
    passkeys: tuple[Passkey, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundingService:
    """One program with a service token."""

    id: UUID
    name: str
    common_name: str
    roles: frozenset[Role]


@action(Event.STAFF_FOUNDED)
def found_staff(
    *, people: Sequence[Founder], services: Sequence[FoundingService] = (), actor: Actor, now: datetime
) -> list[Identity]:
    """Enrol everybody at once, if nobody is enrolled yet; FoundedAlready for ever after."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
    if Identity.objects.filter(kind=Kind.OFFICER).exists():
        raise FoundedAlready(
            "Nobody was enrolled: this deployment has officers already.", target="access/staff"
        )
    officers = Identity.objects.bulk_create(map(_officer, people))
    programs = Identity.objects.bulk_create(map(_program, services))
    OfficerCredential.objects.bulk_create(
        OfficerCredential(
            officer=row,
            credential_id=key.credential_id,
            public_key=key.public_key,
            label=key.label,
            added_at=now,
        )
        for row, person in zip(officers, people, strict=True)
        for key in person.passkeys
    )
    held = [*(person.roles for person in people), *(service.roles for service in services)]
    RoleGrant.objects.bulk_create(
        RoleGrant(identity=row, role=role, granted_at=now)
        for row, roles in zip([*officers, *programs], held, strict=True)
        for role in sorted(roles)
    )
    audit.record(
        Event.STAFF_FOUNDED,
        "access/staff",
        actor=actor,
        now=now,
        after={
            "officers": {str(person.id): sorted(person.roles) for person in people},
            "passkeys": {key.credential_id: str(person.id) for person in people for key in person.passkeys},
            "services": {str(service.id): sorted(service.roles) for service in services},
        },
    )
    return officers


def _officer(person: Founder) -> Identity:
    return Identity(
        id=person.id,
        kind=Kind.OFFICER,
        email=person.email.strip().lower(),
        display_name=person.name,
        access_subject=person.subject,
    )


def _program(service: FoundingService) -> Identity:
    return Identity(
        id=service.id, kind=Kind.SERVICE, display_name=service.name, access_subject=service.common_name
    )
