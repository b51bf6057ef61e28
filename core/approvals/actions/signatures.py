"""Taking an officer's signature: the only way in which a request is approved or rejected."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from core import audit
from core.access import rights
from core.access.models import Identity, OfficerCredential
from core.action import action
from core.actor import Actor
from core.approvals import asking, interests, kinds, locks, moving
from core.approvals.assertions import confirmed, verified
from core.approvals.domain.requests import State
from core.approvals.events import Event
from core.approvals.expiry import expire_if_due
from core.approvals.haste import in_haste
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.signed import Signed
from core.approvals.standing import standing_of
from core.approvals.statements import statement
from core.refusals import NotAllowed, Refused
from kernel import quorum
from kernel.approval import Verb


class MakerCannotCheck(NotAllowed):
    """Whoever asked cannot agree with themselves."""

    code = "approval.maker"


class NotInQuorum(NotAllowed):
    """The officer lacks the permission, or stands in no team that the request asks for."""

    code = "approval.not_in_quorum"


class ConflictOfInterest(NotAllowed):
    """The officer has an interest of their own in the request."""

    code = "approval.conflict"


class SignedAlready(Refused):
    """One person, one answer."""

    code = "approval.signed_already"


class NotOpen(Refused):
    """Decided, withdrawn or past its deadline."""

    code = "approval.not_open"


class ReasonMissing(Refused):
    """A rejection says why."""

    code = "approval.reason_missing"
    status = 422


class AnotherVerb(Refused):
    """The answer is by a verb that this request does not take."""

    code = "approval.another_verb"


class NotAsked(Refused):
    """The maker has not signed yet that they ask for it."""

    code = "approval.not_asked"


@action(Event.SIGNED, people=locks.concerned)
def submit_signature(*, request_id: UUID, signed: Signed, actor: Actor, now: datetime) -> ApprovalRequest:
    """Count one officer's answer; it may decide the request, and what follows then happens here, too.

    The answer is worth nothing without an assertion by the officer's own enrolled passkey over exactly this
    verb, kind, deployment, nonce and payload, given on the approver's page.
    """
    row = locks.request(request_id)
    locks.people(row)
    officer = _entitled(row, actor=actor, now=now)
    if row.state != State.OPEN:
        raise NotOpen(f"The request is {row.state}; no more answers are taken.", target=moving.target(row))
    if row.signatures.filter(officer=officer).exists():
        raise SignedAlready("You have already answered this request.", target=moving.target(row))
    if signed.verb not in (Verb.REJECT, Verb(row.agreeing)):
        raise AnotherVerb(
            f"Nothing was recorded: this request is answered by {row.agreeing} or reject.",
            target=moving.target(row),
        )
    if asking.is_draft(row):
        raise NotAsked(
            "Nothing was recorded: whoever made this request has not signed yet that they ask for it.",
            target=moving.target(row),
        )
    if signed.verb is Verb.REJECT and not signed.reason.strip():
        raise ReasonMissing("Nothing was recorded: say why you reject.", target=moving.target(row))
    credential = verified(
        statement(row, signed.verb), officer=officer, signed=signed, target=moving.target(row)
    )
    confirmed(row, officer=officer, signed=signed)
    signature = stored(row, officer, credential, signed, now)
    standing = standing_of(row, now)
    audit.record(
        Event.SIGNED,
        row,
        actor=actor,
        now=now,
        after={
            "verb": signed.verb,
            "digest": row.digest,
            "signature": signature.pk,
            "missing": standing.missing,
            "state": standing.state,
            "in_haste": in_haste(row, signature),
        },
        reason=signed.reason,
    )
    _settle(row, standing.state, actor=actor, now=now)
    return row


def _entitled(row: ApprovalRequest, *, actor: Actor, now: datetime) -> Identity:
    """The acting officer, if their answer would count."""
    kind = kinds.named(row.kind)
    officer = rights.officer_behind(actor)
    if officer is not None and officer.pk == row.maker_id:
        raise MakerCannotCheck("You made this request, so others must answer it.", target=moving.target(row))
    if officer is None or not rights.allowed(officer, kind.permission, now):
        raise NotInQuorum("Your role does not sign requests of this kind.", target=moving.target(row))
    if not rights.teams_of(officer, now) & row.teams.keys():
        raise NotInQuorum("You stand in no team that this request asks for.", target=moving.target(row))
    if interests.in_request(row, officer):
        raise ConflictOfInterest(
            "This is about an account of your own, so others must answer it.", target=moving.target(row)
        )
    if interest := kind.conflict(row, officer):
        raise ConflictOfInterest(interest, target=moving.target(row))
    return officer


def stored(
    row: ApprovalRequest, officer: Identity, credential: OfficerCredential, signed: Signed, now: datetime
) -> ApprovalSignature:
    """The signature's row, whole; NotOpen where the database takes none any more."""
    try:
        with transaction.atomic():
            return ApprovalSignature.objects.create(
                request=row,
                maker_id=row.maker_id,
                digest=row.digest,
                officer=officer,
                credential=credential,
                verb=signed.verb.value,
                reason=signed.reason,
                teams=sorted(rights.teams_of(officer, now)),
                authenticator_data=signed.assertion.authenticator_data,
                client_data=signed.assertion.client_data,
                signature=signed.assertion.signature,
                confirmation=signed.confirmation,
            )
    except IntegrityError as error:
        raise NotOpen(
            "The request is past its deadline or was answered meanwhile; ask for a new one.",
            target=moving.target(row),
        ) from error


def _settle(row: ApprovalRequest, state: quorum.State, *, actor: Actor, now: datetime) -> None:
    """Carry a decision into the request and into the app that asked."""
    kind = kinds.named(row.kind)
    if state is quorum.State.OPEN:
        moving.announce(row, now=now)
    elif state is quorum.State.APPROVED:
        moving.move(row, State.APPROVED, now=now)
        kind.on_approved(row, actor=actor, now=now)
    else:
        moving.move(row, State.REJECTED, now=now)
        kind.on_rejected(row, actor=actor, now=now)


@action(Event.WITHDRAWN)
def withdraw_request(*, request_id: UUID, reason: str, actor: Actor, now: datetime) -> ApprovalRequest:
    """The maker takes a request back, before it is decided or before it is acted upon."""
    row = locks.request(request_id)
    if actor.identity != row.maker_id:
        raise NotAllowed("Only whoever made the request can take it back.", target=moving.target(row))
    if not reason.strip():
        raise ReasonMissing("Nothing was taken back: say why.", target=moving.target(row))
    moving.withdraw(row, reason=reason, actor=actor, now=now)
    kinds.named(row.kind).on_rejected(row, actor=actor, now=now)
    return row


@action(Event.EXPIRED)
def expire_request(*, request_id: UUID, actor: Actor, now: datetime) -> bool:
    """Close a request whose deadline has passed by the database's clock; whether it was due."""
    return expire_if_due(locks.request(request_id), actor=actor, now=now)
