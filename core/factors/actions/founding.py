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
    given = {officer: factors.get(officer.pk, FirstFactors()) for officer in officers}
    passkeys = Passkey.objects.bulk_create(
        _passkey(officer, key, now) for officer, mine in given.items() for key in mine.passkeys
    )
    codes = Code.objects.bulk_create(
        _code(officer, secret, now) for officer, mine in given.items() for secret in mine.secrets
    )
    safe = Passkey.objects.bulk_create(_passkey(officers[0], key, now, sealed=True) for key in sealed)
    audit.record(
        Event.STAFF_FOUNDED,
        "access/staff",
        actor=actor,
        now=now,
        after={
            "factors": {
                str(officer.pk): [_name(row) for row in (*passkeys, *codes) if row.user_id == officer.pk]
                for officer in officers
            },
            "sealed": [_name(row) for row in safe],
        },
    )
    return officers


def _passkey(officer: Identity, key: SigningPasskey, now: datetime, *, sealed: bool = False) -> Passkey:
    return Passkey(
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


def _code(officer: Identity, secret: bytes, now: datetime) -> Code:
    identifier = new_id()
    return Code(
        id=identifier,
        user=officer,
        name="founding authenticator app",
        state=State.ACTIVE,
        begun_at=now,
        sealed_secret=vault.seal(secret, row=identifier),
        fingerprint=fingerprint(identifier, secret),
    )


def _name(row: Passkey | Code) -> str:
    return f"{row.kind.value}/{row.pk}"
