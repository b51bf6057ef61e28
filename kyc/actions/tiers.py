"""Tier decisions by officers: one proposes, others approve with their signatures, and only then it counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from core import approvals, audit
from core.access.models import Identity
from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.refusals import Conflict, Refused
from kernel import canonical
from kyc import locks
from kyc.actions.cases import name, needs_reason, words, write
from kyc.actions.transitions import move, settle_tier
from kyc.domain import tiers, verifications
from kyc.domain.cases import Outcome, State
from kyc.domain.proposals import KIND, Proposal
from kyc.domain.verifications import State as VerificationState
from kyc.events import Event
from kyc.models import Case

APPROVE_WITHIN: Final = timedelta(days=1)
EXECUTE_WITHIN: Final = timedelta(minutes=5)

FLOOR: Final = {"officers": 1}
TEAMS: Final[Mapping[int, Mapping[str, int]]] = {
    1: {"officers": 1},
    2: {"officers": 1},
    3: {"officers": 1},
    4: {"compliance": 1, "officers": 1},
}
"""Who must agree, besides the maker; an institution needs two more people, one of them from compliance."""


class NotARaise(Refused):
    """The tier is no higher than the one held."""

    code = "kyc.tier.not_a_raise"


class StaleProposal(Refused):
    """What the officers looked at has changed since it was proposed."""

    code = "kyc.tier.stale"


class StillBlocked(Refused):
    """Something else keeps the tier down."""

    code = "kyc.tier.still_blocked"


@action(Event.TIER_PROPOSED)
def propose_tier(
    *, case_id: UUID, tier: int, reason: str, officer: Identity, actor: Actor, now: datetime
) -> ApprovalRequest:
    """Put a higher tier before other officers; the case waits for their answer."""
    row = locks.case(case_id)
    needs_reason(reason)
    if row.state not in {State.QUEUED, State.IN_REVIEW}:
        raise Conflict(f"The case is {row.state}; look at it again.", target=name(row))
    if tier not in TEAMS or tier <= row.profile.tier:
        raise NotARaise(
            "Nothing was proposed: the customer holds this tier or a higher one.", target=name(row)
        )

    def payload(life: timedelta) -> Mapping[str, canonical.Value]:
        return Proposal(
            deployment=settings.DEPLOYMENT,
            case=row.pk,
            customer=row.profile.customer_id,
            tier=tier,
            tier_before=row.profile.tier,
            reason=reason.strip(),
            maker=officer.pk,
            expires=now + life,
        ).payload()

    request = approvals.open(
        KIND,
        payload,
        maker=officer,
        teams=TEAMS[tier],
        subject=row,
        actor=actor,
        now=now,
        facts={
            "customer": str(row.profile.customer_id),
            "customer_tier": row.profile.tier,
            "tier": tier,
        },
    )
    row.state, row.maker, row.request = State.PROPOSED, officer, request.pk
    row.save(update_fields=["state", "maker", "request"])
    write(row, "proposed", f"tier {tier}: {reason}", actor=actor, now=now)
    after = {"tier": tier, "request": request.pk, "digest": request.digest, "reason": words(row, reason)}
    audit.record(Event.TIER_PROPOSED, row, actor=actor, now=now, after=after)
    return request


def on_approved(request: ApprovalRequest, *, actor: Actor, now: datetime) -> Case:
    """Give the tier, in the transaction of the deciding signature."""
    proposal = Proposal.parse(bytes(request.payload))
    row = locks.case(proposal.case)
    # What the officers read names the customer: a case that was given to somebody else since is not theirs.
    is_theirs = row.request == request.pk and row.profile.customer_id == proposal.customer
    if not is_theirs or row.state != State.PROPOSED or row.profile.tier != proposal.tier_before:
        raise StaleProposal(
            "The customer's standing has changed since this was proposed; look again and propose anew.",
            target=name(row),
        )
    approvals.consume(request, now=now)
    row.state, row.outcome, row.closed_at = State.RESOLVED, Outcome.APPROVE_TIER, now
    row.checker_id = actor.identity
    row.save(update_fields=["state", "outcome", "closed_at", "checker"])
    if row.verification is not None:
        _lift(row, actor=actor, now=now)
    row.profile.officers_rank = proposal.tier
    row.profile.save(update_fields=["officers_rank"])
    tier = settle_tier(row.profile, why="officers' decision", actor=actor, now=now)
    if tier < proposal.tier:
        raise StillBlocked(
            "Another open case, a rejection or the country keeps the tier lower; clear that first.",
            target=name(row),
        )
    write(row, "approved", f"tier {tier}", actor=actor, now=now)
    after = {"tier": tier, "request": request.pk}
    audit.record(
        Event.TIER_APPROVED, row, actor=actor, now=now, before={"tier": proposal.tier_before}, after=after
    )
    return row


def on_not_approved(request: ApprovalRequest, *, actor: Actor, now: datetime) -> Case:
    """Hand the case back to its officer after a rejection, a withdrawal or the deadline."""
    proposal = Proposal.parse(bytes(request.payload))
    row = locks.case(proposal.case)
    if row.request == request.pk and row.state == State.PROPOSED:
        row.state, row.maker, row.request = State.IN_REVIEW, None, None
        row.save(update_fields=["state", "maker", "request"])
        write(row, "not approved", request.state, actor=actor, now=now)
        after = {"request": request.pk, "state": request.state}
        audit.record(Event.TIER_NOT_APPROVED, row, actor=actor, now=now, after=after)
    return row


def _lift(row: Case, *, actor: Actor, now: datetime) -> None:
    verification = row.verification
    if verification is None:
        return
    verification.profile = row.profile
    before = VerificationState(verification.state)
    level = tiers.LEVELS.get(verification.level)
    if before in verifications.LIFTED and level is not None:
        move(
            verification,
            VerificationState.APPROVED,
            cause="officers",
            why="officers' decision",
            actor=actor,
            now=now,
            by_officers=True,
        )
