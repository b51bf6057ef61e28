"""Steps of a verification and what they do to the customer's tier: primitives inside the other actions."""

from __future__ import annotations

from datetime import datetime

from core import action
from core.actor import Actor
from core.refusals import Conflict
from customers.actions import set_tier
from kyc import queries
from kyc.domain import tiers, verifications
from kyc.domain.verifications import State
from kyc.models import (
    KycProfile,
    ProviderSnapshot,
    Verification,
    VerificationTransition,
    WebhookDelivery,
)


class StepRefused(Conflict):
    """The table has no such step for whoever takes it."""

    code = "kyc.step_refused"


def move(
    row: Verification,
    after: State,
    *,
    cause: str,
    why: str,
    actor: Actor,
    now: datetime,
    by_officers: bool = False,
    snapshot: ProviderSnapshot | None = None,
    delivery: WebhookDelivery | None = None,
) -> None:
    """Take one step of the table and keep it in the history. The profile must be locked."""
    action.current()
    before = State(row.state)
    if not verifications.may_move(before, after, by_officers=by_officers):
        raise StepRefused(
            f"The verification is {before}; it cannot become {after} this way.", target=_name(row)
        )
    attempt = row.attempt + verifications.is_new_attempt(before, after)
    expires_at = now + tiers.VALID_FOR if after is State.APPROVED else None
    changed = Verification.objects.filter(pk=row.pk, state=before).update(
        state=after, attempt=attempt, expires_at=expires_at, moved_at=now
    )
    if not changed:
        raise Conflict("The verification moved on meanwhile; look at it again.", target=_name(row))
    row.state, row.attempt, row.expires_at, row.moved_at = after, attempt, expires_at, now
    VerificationTransition.objects.create(
        verification=row,
        before=before,
        after=after,
        attempt=attempt,
        cause=cause,
        why=why[:200],
        snapshot=snapshot,
        delivery=delivery,
        actor=actor.label,
        at=now,
    )
    if verifications.is_loss(before, after) and row.profile.officers_rank:
        KycProfile.objects.filter(pk=row.profile_id).update(officers_rank=0)
        row.profile.officers_rank = 0


def settle_tier(profile: KycProfile, *, why: str, actor: Actor, now: datetime) -> int:
    """Work the effective tier out again and tell `customers` if it changed. The profile must be locked."""
    action.current()
    before, after = profile.tier, queries.effective_rank(profile, now=now)
    if before == after:
        return after
    KycProfile.objects.filter(pk=profile.pk).update(tier=after)
    profile.tier = after
    set_tier(customer_id=profile.customer_id, tier=after, reason=why, actor=actor, now=now)
    return after


def _name(row: Verification) -> str:
    return f"kyc.verification/{row.pk}"
