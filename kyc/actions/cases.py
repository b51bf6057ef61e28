"""Cases: bring one up, take it, end it. Whatever raises a tier is a tier decision (kyc.actions.tiers)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import action as actions
from core import approvals, audit
from core.access.models import Identity
from core.action import action
from core.actor import Actor
from core.approvals.kinds import named
from core.refusals import Conflict, Refused
from kyc import locks, vault
from kyc.actions.transitions import move, settle_tier
from kyc.domain import cases, verifications
from kyc.domain.cases import Kind, Outcome, State
from kyc.domain.proposals import KIND
from kyc.domain.verifications import State as VerificationState
from kyc.events import Event
from kyc.models import Case, CaseEvent, KycProfile, Verification
from kyc.vault import Place


class NeedsTwo(Refused):
    """One officer may not end this case so."""

    code = "kyc.case.needs_two"
    status = 403


class NoReason(Refused):
    """Every decision needs a reason in words."""

    code = "kyc.case.no_reason"
    status = 400


def bring_up(
    profile: KycProfile,
    kind: Kind,
    *,
    verification: Verification | None,
    why: str,
    actor: Actor,
    now: datetime,
) -> Case:
    """The open case of this kind, made if there is none; what is new joins its history, and those who were
    deciding about it without that look again. A primitive.
    """
    actions.current()
    row, _ = Case.objects.get_or_create(
        profile=profile,
        kind=kind,
        closed_at=None,
        defaults={"verification": verification, "opened_at": now},
    )
    write(row, "raised", why, actor=actor, now=now)
    if row.state == State.PROPOSED:
        row.profile = profile
        _give_back(row, actor=actor, now=now)
    return row


def write(row: Case, kind: str, note: str, *, actor: Actor, now: datetime) -> CaseEvent:
    """Add one line to the case's history: a primitive."""
    event = CaseEvent(case=row, kind=kind, actor=actor.label, at=now)
    event.note = vault.seal_for(row.profile.customer_id, note.encode(), place=Place.NOTE, row=event.pk)
    event.save(force_insert=True)
    return event


@action(Event.CASE_OPENED)
def open_case(*, profile_id: UUID, kind: Kind, reason: str, actor: Actor, now: datetime) -> Case:
    """An officer's own case, such as a block: it counts at once, since it can only take away."""
    profile = locks.profile(profile_id)
    needs_reason(reason)
    row = bring_up(profile, kind, verification=None, why=reason, actor=actor, now=now)
    tier = settle_tier(profile, why=f"case {kind}", actor=actor, now=now)
    after = {"kind": kind, "tier": tier, "reason": words(row, reason)}
    audit.record(Event.CASE_OPENED, row, actor=actor, now=now, after=after)
    return row


@action(Event.CASE_TAKEN)
def take_case(*, case_id: UUID, officer: Identity, actor: Actor, now: datetime) -> Case:
    """Put the officer's name on the case."""
    row = locks.case(case_id)
    if row.state == State.IN_REVIEW and row.assignee_id == officer.pk:
        return row
    if row.state not in {State.QUEUED, State.IN_REVIEW}:
        raise Conflict(f"The case is {row.state}; it cannot be taken.", target=name(row))
    before = {"assignee": row.assignee_id, "state": row.state}
    row.state, row.assignee = State.IN_REVIEW, officer
    row.save(update_fields=["state", "assignee"])
    write(row, "taken", "", actor=actor, now=now)
    audit.record(Event.CASE_TAKEN, row, actor=actor, now=now, before=before, after={"assignee": officer.pk})
    return row


@action(Event.CASE_CLOSED)
def close_case(
    *, case_id: UUID, outcome: Outcome, reason: str, officer: Identity, actor: Actor, now: datetime
) -> Case:
    """End a case in a way that gives the customer nothing; anything else needs a second person."""
    row = locks.case(case_id)
    needs_reason(reason)
    if row.state not in {State.QUEUED, State.IN_REVIEW}:
        raise Conflict(f"The case is {row.state}; look at it again.", target=name(row))
    if outcome not in cases.BY_ONE_OFFICER[Kind(row.kind)]:
        raise NeedsTwo(
            "One officer alone cannot end this case so; propose a tier, which a second officer approves.",
            target=name(row),
        )
    tier_before = row.profile.tier
    _carry_out(row, outcome, actor=actor, now=now)
    row.state, row.outcome, row.maker, row.closed_at = State.RESOLVED, outcome, officer, now
    row.save(update_fields=["state", "outcome", "maker", "closed_at"])
    write(row, "closed", reason, actor=actor, now=now)
    tier = settle_tier(row.profile, why=f"case closed: {outcome}", actor=actor, now=now)
    if tier > tier_before:
        raise NeedsTwo(
            "This would raise the customer's tier, which takes a second officer.", target=name(row)
        )
    after = {"outcome": outcome, "tier": tier, "reason": words(row, reason)}
    audit.record(Event.CASE_CLOSED, row, actor=actor, now=now, after=after)
    return row


def overtake(verification: Verification, *, actor: Actor, now: datetime) -> None:
    """Have those look again who decide on a tier by this verification: their yes would lift what was found
    since, too. A primitive; the profile is locked.
    """
    actions.current()
    for row in Case.objects.filter(verification=verification, state=State.PROPOSED):
        row.profile = verification.profile
        _give_back(row, actor=actor, now=now)


def _give_back(row: Case, *, actor: Actor, now: datetime) -> None:
    """From those who sign to its officer. Whoever signs at this very moment finds another standing."""
    row.state, row.maker, row.request = State.IN_REVIEW, None, None
    row.save(update_fields=["state", "maker", "request"])
    write(row, "not approved", "overtaken", actor=actor, now=now)
    approvals.take_back(named(KIND), row, actor=actor, now=now)


def needs_reason(reason: str) -> None:
    """NoReason unless there are words."""
    if not reason.strip():
        raise NoReason("Nothing was decided: write the reason first.")


def words(row: Case, reason: str) -> dict[str, str]:
    """An officer's words about a person as the audit log may hold them: sealed, like the case's own notes."""
    return audit.personal(f"customers.customer/{row.profile.customer_id}", reason)


def name(row: Case) -> str:
    """The case's name in the audit log."""
    return f"kyc.case/{row.pk}"


def _carry_out(row: Case, outcome: Outcome, *, actor: Actor, now: datetime) -> None:
    target = {
        Outcome.REJECT_FINAL: VerificationState.REJECTED_FINAL,
        Outcome.REQUEST_MORE: VerificationState.RETRY_REQUIRED,
    }.get(outcome)
    if target is None or row.verification is None:
        return
    row.verification.profile = row.profile
    before = VerificationState(row.verification.state)
    if before is not target and verifications.may_move(before, target):
        move(row.verification, target, cause="officer", why=f"case: {outcome}", actor=actor, now=now)
        overtake(row.verification, actor=actor, now=now)
