"""Opening a request and acting upon an approved one: primitives, called inside other apps' actions."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Model

from core import action, audit
from core.access.models import Identity
from core.access.roles import TEAMS
from core.actor import Actor
from core.approvals import asking, interests, kinds, locks, moving, policies
from core.approvals.domain.requests import State
from core.approvals.events import Event
from core.approvals.expiry import expire_if_due
from core.approvals.models import ApprovalRequest, Waiver
from core.approvals.standing import standing_of
from core.audit.writing import name_of
from core.refusals import NotAllowed, Refused
from kernel import canonical
from kernel.approval import NONCE_BYTES
from kernel.policy import Fact

Members: TypeAlias = Mapping[str, canonical.Value]
WAITS: Final = "This already waits for approval; withdraw that request first."


class AlreadyOpen(Refused):
    """The same act is already waiting for approval."""

    code = "approval.already_open"


class OwnAccount(NotAllowed):
    """The act is about an account of the maker's own."""

    code = "approval.own_account"


class NotApproved(Refused):
    """There is no approval in force to act upon."""

    code = "approval.not_approved"


def open(  # noqa: A001 - read as approvals.open(...)
    kind: kinds.Kind | str,
    payload: Members | Callable[[timedelta], Members],
    *,
    maker: Identity,
    teams: Mapping[str, int],
    subject: Model | str,
    actor: Actor,
    now: datetime,
    nonce: bytes | None = None,
    was_for_lane: bool = False,
    facts: Mapping[str, Fact] | None = None,
) -> ApprovalRequest:
    """A request over the canonical bytes of `payload`, about the row `subject`, inside the open action.

    The policy in force judges it by `facts`, exactly those that its kind declares. It may ask for more people
    than `teams`, never for fewer, and for less time than the kind allows, never for more; what it judged is
    kept with the request, and the database holds the request to it (`core.approvals.terms`). PolicyRefuses
    where it says no, or cannot tell. Both periods run on the database's clock. A payload that says itself
    when it is void is given as a function of how long the request can live. One (kind, subject) has at most
    one open request. `was_for_lane` is kept for back-tests: only the policy kept the lane from taking it.
    """
    action.current()
    declared = kinds.named(kind if isinstance(kind, str) else kind.name)
    _check_quorum(declared, teams)
    told = _told(declared, maker, facts or {}, now=now)
    about = name_of(subject)
    waiting = ApprovalRequest.objects.filter(subject=about, kind=declared.name, state=State.OPEN)
    # Whoever answers it just now holds it, and may go for the row that the caller holds: nobody waits here.
    previous = waiting.select_for_update(no_key=True, skip_locked=True).first()
    is_over = previous is not None and expire_if_due(previous, actor=actor, now=now)
    if not is_over and waiting.exists():
        raise AlreadyOpen(WAITS, target=about)
    judge = partial(policies.judge, kind=declared, target=about, now=now)
    judged = policies.asked(judge, told, floor=teams)
    members = payload(judged.approve_within + judged.execute_within) if callable(payload) else payload
    if interests.in_payload(members, maker):
        raise OwnAccount(
            "Nothing was asked: this is about an account of your own. Somebody else must ask.",
            target=about,
        )
    row = ApprovalRequest(
        kind=declared.name,
        deployment=settings.DEPLOYMENT,
        payload=canonical.encode(members),
        nonce=secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce,
        maker=maker,
        subject=about,
        teams=dict(judged.teams),
        rejections_needed=judged.rejections,
        policy_version=judged.version,
        rule=judged.rule,
        floor=dict(teams),
        was_for_lane=was_for_lane,
        facts=dict(judged.facts),
        agreeing=declared.agreeing.value,
        approve_within=judged.approve_within,
        execute_within=judged.execute_within,
    )
    _insert(row)
    audit.record(
        Event.OPENED,
        row,
        actor=actor,
        now=now,
        after={
            "kind": row.kind,
            "digest": row.digest,
            "subject": about,
            "maker": maker.pk,
            "teams": row.teams,
            "policy": row.policy_version,
            "rule": row.rule,
            "approve_by": row.approve_by,
            "execute_by": row.execute_by,
        },
    )
    moving.announce(row, now=now)
    return row


def take_back(
    kind: kinds.Kind, subject: Model | str, *, actor: Actor, now: datetime
) -> ApprovalRequest | None:
    """Withdraw what waits for signatures about this row, since the open action has made it void.

    It never waits for whoever is answering that request just now: the caller sees to it that such an answer
    brings nothing about, since it comes too late to be taken back here.
    """
    action.current()
    row = (
        ApprovalRequest.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(subject=name_of(subject), kind=kind.name, state=State.OPEN)
        .first()
    )
    if row is None or expire_if_due(row, actor=actor, now=now):
        return None
    moving.withdraw(row, reason="overtaken", actor=actor, now=now)
    return row


def waive(
    kind: kinds.Kind | str,
    payload: Mapping[str, canonical.Value],
    *,
    teams: Mapping[str, int],
    maker: Identity,
    subject: Model | str,
    actor: Actor,
    now: datetime,
    facts: Mapping[str, Fact],
) -> Waiver | None:
    """The record that the policy in force asks nobody about this act, or None where it asks somebody.

    For what the signers' lane could take, once for each subject; the caller opens a request over `teams` for
    everything else, and for what the lane then refuses. PolicyRefuses as with a request.
    """
    action.current()
    declared = kinds.named(kind if isinstance(kind, str) else kind.name)
    if not declared.waivable:
        raise ValueError(f"{declared.name} always takes officers")
    about = name_of(subject)
    judge = partial(policies.judge, kind=declared, target=about, now=now)
    judged = policies.unasked(judge, _told(declared, maker, facts, now=now))
    if judged is None:
        return None
    row = Waiver.objects.create(
        kind=declared.name,
        deployment=settings.DEPLOYMENT,
        payload=canonical.encode(payload),
        subject=about,
        policy_version=judged.version,
        floor=dict(teams),
        rule=judged.rule,
        facts=dict(judged.facts),
    )
    row.refresh_from_db()
    audit.record(
        Event.WAIVED,
        row,
        actor=actor,
        now=now,
        after={
            "kind": row.kind,
            "digest": bytes(row.digest),
            "subject": about,
            "policy": row.policy_version,
            "rule": row.rule,
        },
    )
    return row


def _check_quorum(declared: kinds.Kind, teams: Mapping[str, int]) -> None:
    """A programming error where an app asks fewer than its own kind says, or nobody that there is."""
    low = any(teams.get(team, 0) < count for team, count in declared.floor.items())
    few = sum(teams.values()) < declared.people_min or min(teams.values(), default=0) < 1
    if low or few or teams.keys() - TEAMS.keys():
        raise ValueError(f"{declared.name} cannot be put before {dict(teams)}")


def _told(
    declared: kinds.Kind, maker: Identity, facts: Mapping[str, Fact], *, now: datetime
) -> dict[str, Fact]:
    """The facts of every act and those of this kind, all of them: rules are checked against that list."""
    if facts.keys() != declared.facts:
        raise ValueError(f"{declared.name} tells {sorted(declared.facts)}, and not {sorted(facts)}")
    return {
        "kind": declared.name,
        "hour": now.astimezone(UTC).hour,
        "maker": str(maker.pk),
        **facts,
    }


def _insert(row: ApprovalRequest) -> None:
    """Store the row and read back what the database filled in; AlreadyOpen where another was quicker."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if "request_open_once" not in str(error):
            raise
        raise AlreadyOpen(WAITS, target=row.subject) from error
    row.refresh_from_db()


def consume(request: ApprovalRequest, *, now: datetime) -> ApprovalRequest:
    """Act upon an approval, once: call it in the transaction that does what was approved.

    The quorum is counted again over people who are still active and still in their teams; the database counts
    too. NotApproved where the approval does not hold (any more), or where who asked has been suspended since;
    nobody can consume it a second time.
    """
    action.current()
    row = locks.request(request.pk)
    if row.state != State.APPROVED:
        raise NotApproved(f"The approval is not in force (it is {row.state}).", target=moving.target(row))
    check_standing(row, now=now)
    moving.move(row, State.CONSUMED, now=now)
    request.state = row.state
    return row


def check_standing(row: ApprovalRequest, *, now: datetime) -> None:
    """Nothing, while who asked and a quorum of who approved still count; NotApproved. What was consumed and
    then waits for people is looked at again before it goes on.
    """
    locks.people(row)
    if not standing_of(row, now).approved:
        raise NotApproved(
            "The approval is not in force (an approver has left); ask for a new one.",
            target=moving.target(row),
        )
    if not Identity.objects.filter(pk=row.maker_id, is_active=True).exists():
        raise NotApproved(
            "Nothing was done: whoever asked for this has been suspended; somebody else asks for it anew.",
            target=moving.target(row),
        )
    if asking.is_draft(row):
        raise NotApproved(
            "Nothing was done: the passkey with which this was asked for was revoked; ask for it anew.",
            target=moving.target(row),
        )
