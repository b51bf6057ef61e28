"""The founding staff's first authenticators: the one time that they come without a second person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from core import audit
from core.access.actions.founding import Founder, FoundingService, found_staff
from core.access.actions.founding import Passkey as SigningPasskey
from core.access.models import Identity
from core.action import action
from core.actor import Actor
from core.factors import vault
from core.factors.domain.enrolments import fingerprint
from core.factors.domain.factors import State
from core.factors.events import Event
from core.factors.models import Code, Passkey
from core.ids import new_id


@dataclass(frozen=True, slots=True)
class FirstFactors:
    """One founder's: passkeys for the console (as signing passkeys are given), and secrets of apps."""

    passkeys: tuple[SigningPasskey, ...] = ()
    secrets: tuple[bytes, ...] = field(default=(), repr=False)


@action(Event.STAFF_FOUNDED)
def found(
    *,
    people: Sequence[Founder],
    services: Sequence[FoundingService] = (),
    factors: Mapping[UUID, FirstFactors],
    sealed: Sequence[SigningPasskey] = (),
    actor: Actor,
    now: datetime,
) -> list[Identity]:
    """Enrol everybody with their first authenticators, if nobody is enrolled yet; FoundedAlready ever after.

    Whoever runs the founding vouches for the devices, which were registered before there was a console.
    """
    officers = found_staff(people=people, services=services, actor=actor, now=now)
    given: dict[str, list[str]] = {}
    for officer in officers:
        mine = factors.get(officer.pk, FirstFactors())
        given[str(officer.pk)] = [
            *(_passkey(officer, key, now) for key in mine.passkeys),
            *(_code(officer, secret, now) for secret in mine.secrets),
        ]
    safe = [_passkey(officers[0], key, now, sealed=True) for key in sealed]
    audit.record(
        Event.STAFF_FOUNDED, "access/staff", actor=actor, now=now, after={"factors": given, "sealed": safe}
    )
    return officers


def _passkey(officer: Identity, key: SigningPasskey, now: datetime, *, sealed: bool = False) -> str:
    row = Passkey.objects.create(
        user=officer,
        name=key.label,
        state=State.ACTIVE,
        begun_at=now,
        credential_id=key.credential_id,
        public_key=key.public_key,
        aaguid=str(UUID(int=0)),
        attestation="founding",
        attestation_object=b"",
        client_data=b"",
        sealed=sealed,
    )
    return f"passkey/{row.pk}"


def _code(officer: Identity, secret: bytes, now: datetime) -> str:
    identifier = new_id()
    Code.objects.create(
        id=identifier,
        user=officer,
        name="founding authenticator app",
        state=State.ACTIVE,
        begun_at=now,
        sealed_secret=vault.seal(secret, row=identifier),
        fingerprint=fingerprint(identifier, secret),
    )
    return f"code/{identifier}"
