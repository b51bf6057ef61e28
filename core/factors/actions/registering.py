"""Registering an authenticator of one's own: worth nothing until a second person has approved exactly it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from core import approvals, audit
from core.access import rights
from core.access.models import Identity
from core.access.permissions import Permission
from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.factors import attestation, judging, vault
from core.factors.actions.ceremonies import claim
from core.factors.domain import acts, enrolments
from core.factors.domain.factors import State
from core.factors.events import Event
from core.factors.models import Code, Factor, Passkey
from core.factors.queries import factors_of
from core.ids import new_id
from core.refusals import NotAllowed, NotFound, Refused

REGISTER: Final = "register"
"""The purpose of a challenge that a new passkey answers."""
SECRET_BYTES: Final = 20
DRAFT_FOR: Final = timedelta(minutes=10)
FACTORS_MAX: Final = 6


class TooMany(Refused):
    """Somebody keeps a handful of authenticators, not a drawer full."""

    code = "factors.too_many"


class NotRegistered(Refused):
    """The registration did not come to its end; the sentence says what to do."""

    code = "factors.not_registered"
    status = 422


class KnownAlready(Refused):
    """The same passkey, of this person or another."""

    code = "factors.known_already"


@dataclass(frozen=True, slots=True)
class Draft:
    """A new app's row, and its secret, which is shown this once."""

    code: Code
    secret: bytes


@action(Event.BEGUN)
def begin_code(*, label: str, actor: Actor, now: datetime) -> Draft:
    """A fresh secret for the person's own authenticator app. Earlier drafts of theirs end."""
    person = _person(actor)
    _room_for_one_more(person)
    Code.objects.filter(user=person, state=State.DRAFT).update(state=State.ENDED, ended_at=now)
    identifier, secret = new_id(), secrets.token_bytes(SECRET_BYTES)
    row = Code.objects.create(
        id=identifier,
        user=person,
        name=_label(label),
        state=State.DRAFT,
        begun_at=now,
        sealed_secret=vault.seal(secret, row=identifier),
        fingerprint=enrolments.fingerprint(identifier, secret),
    )
    audit.record(
        Event.BEGUN, row, actor=actor, now=now, after={"label": row.label, "fingerprint": row.fingerprint}
    )
    return Draft(row, secret)


@action(Event.PROPOSED)
def propose_code(
    *, factor_id: UUID, digits: str, reason: str, actor: Actor, now: datetime
) -> ApprovalRequest:
    """Show that the app works, and put it before the second person. The code used here is used for good."""
    person = _person(actor)
    row = Code.objects.select_for_update().filter(pk=factor_id, user=person, state=State.DRAFT).first()
    if row is None:
        raise NotFound("There is no such secret of yours.", target=f"factors.code/{factor_id}")
    if row.begun_at + DRAFT_FOR <= now:
        raise NotRegistered("Nothing was registered: this secret is no longer waiting. Begin again.")
    step = judging.matching_step(row, digits, now=now)
    if step is None:
        raise NotRegistered(
            "Nothing was registered: the code is not what the app should show. Take the next one.",
            target=f"factors.code/{factor_id}",
        )
    Code.objects.filter(pk=row.pk).update(state=State.PENDING, last_step=step[0], drift=step[1])
    enrolment = enrolments.Code(row.pk, person.pk, row.label, row.fingerprint)
    return _put_before_another(enrolment, row, person, reason=reason, actor=actor, now=now)


@action(Event.PROPOSED)
def propose_passkey(
    *,
    challenge_id: UUID,
    session: str,
    client_data: str,
    attestation_object: str,
    label: str,
    reason: str,
    sealed: bool = False,
    actor: Actor,
    now: datetime,
) -> ApprovalRequest:
    """Take a new passkey as the authenticator made it, and put exactly this key before the second person.

    A `sealed` one goes into a safe, whoever registers it, and two others decide about it.
    """
    person = _person(actor)
    if not sealed:
        _room_for_one_more(person)
    elif not rights.allowed(person, Permission.PROPOSE_STAFF, now):
        raise NotAllowed("Your role does not register keys for the safes.")
    asked = claim(challenge_id, purpose=REGISTER, session=session, actor=actor)
    if asked is None:
        raise NotRegistered("Nothing was registered: the question was too old. Begin again.")
    found = attestation.read(
        client_data=client_data,
        attestation_object=attestation_object,
        challenge=acts.challenge(bytes(asked.nonce), bytes(asked.digest)),
        origin=settings.CONSOLE_ORIGIN,
        rp_id=judging.rp_id(),
        models=settings.PASSKEY_AAGUIDS,
        roots=settings.PASSKEY_ROOTS,
    )
    row = Passkey(
        user=person,
        name=_label(label),
        state=State.PENDING,
        begun_at=now,
        credential_id=found.credential_id,
        public_key=found.public_key,
        sign_count=found.sign_count,
        aaguid=found.aaguid,
        attestation=found.attestation,
        attestation_object=found.attestation_object,
        client_data=found.client_data,
        sealed=sealed,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if "unique" not in str(error):
            raise
        raise KnownAlready("Nothing was registered: this passkey is known already.") from error
    enrolment = (enrolments.SealedKey if sealed else enrolments.Passkey)(
        row.pk, person.pk, row.label, row.credential_id, row.public_key, row.aaguid, row.attestation
    )
    return _put_before_another(enrolment, row, person, reason=reason, actor=actor, now=now)


def _put_before_another(
    enrolment: enrolments.Enrolment,
    row: Factor,
    person: Identity,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> ApprovalRequest:
    target = f"access.identity/{person.pk}"
    if not reason.strip():
        raise NotRegistered("Nothing was registered: say why.", target=target)
    audit.record(
        Event.PROPOSED,
        target,
        actor=actor,
        now=now,
        after={"kind": enrolment.kind, **enrolment.facts()},
        reason=reason.strip(),
    )
    sealed = isinstance(enrolment, enrolments.SealedKey)
    teams = enrolments.SAFE_TEAMS if sealed else enrolments.TEAMS
    payload = enrolments.payload(
        enrolment, deployment=settings.DEPLOYMENT, name=person.display_name, reason=reason.strip()
    )
    return approvals.open(
        enrolment.kind,
        payload,
        maker=person,
        teams=teams,
        subject=target,
        actor=actor,
        now=now,
        facts=enrolment.told(),
    )


def _person(actor: Actor) -> Identity:
    person = rights.officer_behind(actor)
    if person is None:
        raise NotAllowed("Only officers have authenticators.")
    return person


def _room_for_one_more(person: Identity) -> None:
    if len(factors_of(person.pk)) >= FACTORS_MAX:
        raise TooMany(f"Nothing was registered: you have {FACTORS_MAX} authenticators. Take one away first.")


def _label(label: str) -> str:
    if not label.strip() or len(label.strip()) > Factor._meta.get_field("name").max_length:
        raise NotRegistered("Nothing was registered: give it a short name, by which you tell it from others.")
    return label.strip()
