"""Applying what a provider's API said. The only way by which a provider can raise a tier."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from uuid import UUID

from core import audit, outbox
from core.action import action
from core.actor import Actor
from kyc import locks, vault
from kyc.actions.cases import bring_up, overtake
from kyc.actions.transitions import move, settle_tier
from kyc.domain import tiers
from kyc.domain.answers import Answer
from kyc.domain.cases import BLOCKING
from kyc.domain.decisions import Decision, decide
from kyc.domain.deliveries import body_digest
from kyc.domain.verifications import LIFTED, State
from kyc.events import Event, ReadWanted
from kyc.models import Case, KycProfile, ProviderApplicant, ProviderSnapshot, Verification
from kyc.vault import Place

log = logging.getLogger(__name__)


@action(Event.SNAPSHOT_APPLIED)
def apply_snapshot(
    *,
    applicant_id: UUID,
    seq: int,
    started_at: datetime,
    answer: Answer,
    body: bytes,
    accepts_sandbox: bool,
    actor: Actor,
    now: datetime,
) -> ProviderApplicant:
    """Bring our books to the provider's answer, unless we hold a younger one or it says nothing new.

    `seq` is the applicant's `requested_seq` from before the fetch, `started_at` the moment the fetch began:
    an answer that was overtaken by a younger one cannot undo it.
    """
    row = locks.applicant(applicant_id)
    if row.last_snapshot_started_at is not None and started_at < row.last_snapshot_started_at:
        return row
    is_new = answer.fingerprint() != row.fingerprint
    row.last_snapshot_started_at = started_at
    row.applied_seq = max(row.applied_seq, min(seq, row.requested_seq))
    row.fingerprint = answer.fingerprint()
    row.trouble = "" if answer.state else f"unknown answer: {answer.said}"[:100]
    row.save(update_fields=["last_snapshot_started_at", "applied_seq", "fingerprint", "trouble"])
    if is_new:
        _apply(row, seq, started_at, answer, body, accepts_sandbox=accepts_sandbox, actor=actor, now=now)
    if row.requested_seq > row.applied_seq:
        outbox.publish(ReadWanted(applicant=row.pk), now=now)
    return row


def _apply(
    row: ProviderApplicant,
    seq: int,
    started_at: datetime,
    answer: Answer,
    body: bytes,
    *,
    accepts_sandbox: bool,
    actor: Actor,
    now: datetime,
) -> None:
    profile, tier_before = row.profile, row.profile.tier
    snapshot = _keep(row, seq, started_at, body)
    level = tiers.LEVELS.get(answer.level)
    verification = _verification(profile, row.provider, answer.level, now=now) if level else None
    before = State(verification.state) if verification else State.NOT_STARTED
    kinds = Case.objects.filter(profile=profile, closed_at=None).values_list("kind", flat=True)
    decision = decide(
        state=before,
        answer=answer,
        level=level,
        has_blocking_case=bool(BLOCKING.intersection(kinds)),
        accepts_sandbox=accepts_sandbox,
    )
    if verification is not None and decision.state is not None:
        _write_words(verification, answer)
        move(
            verification,
            decision.state,
            cause="snapshot",
            why=decision.why,
            actor=actor,
            now=now,
            snapshot=snapshot,
        )
        if decision.state in LIFTED:
            overtake(verification, actor=actor, now=now)
    if decision.state is State.APPROVED:
        _write_person(profile, answer)
    if decision.case is not None:
        bring_up(profile, decision.case, verification=verification, why=decision.why, actor=actor, now=now)
    tier = settle_tier(profile, why=f"{row.provider}: {decision.why}", actor=actor, now=now)
    if answer.state is None:
        log.warning("applicant %s: %s", row.pk, decision.why)
    audit.record(
        Event.SNAPSHOT_APPLIED,
        row,
        actor=actor,
        now=now,
        before={"state": before, "tier": tier_before},
        after=_outcome(before, decision, answer, snapshot, tier),
        reason=decision.why,
    )


def _outcome(
    before: State, decision: Decision, answer: Answer, snapshot: ProviderSnapshot, tier: int
) -> dict[str, object]:
    return {
        "state": decision.state or before,
        "level": answer.level,
        "case": decision.case,
        "tier": tier,
        "snapshot": snapshot.pk,
        "snapshot_sha256": snapshot.body_sha256,
    }


def _keep(row: ProviderApplicant, seq: int, started_at: datetime, body: bytes) -> ProviderSnapshot:
    snapshot = ProviderSnapshot(applicant=row, seq=seq, started_at=started_at)
    snapshot.body = vault.seal_for(row.profile.customer_id, body, place=Place.SNAPSHOT, row=snapshot.pk)
    snapshot.body_sha256 = body_digest(snapshot.body)
    snapshot.save(force_insert=True)
    return snapshot


def _verification(profile: KycProfile, provider: str, level: str, *, now: datetime) -> Verification:
    row, _ = Verification.objects.get_or_create(
        profile=profile, provider=provider, level=level, defaults={"moved_at": now}
    )
    row.profile = profile
    return row


def _write_words(row: Verification, answer: Answer) -> None:
    row.labels, row.message = list(answer.labels), answer.message
    comment = answer.comment.encode()
    row.comment = (
        vault.seal_for(row.profile.customer_id, comment, place=Place.COMMENT, row=row.pk) if comment else None
    )
    row.save(update_fields=["labels", "message", "comment"])


def _write_person(profile: KycProfile, answer: Answer) -> None:
    person = json.dumps(dict(answer.person)).encode()
    sealed = vault.seal_for(profile.customer_id, person, place=Place.PERSON, row=profile.pk)
    KycProfile.objects.filter(pk=profile.pk).update(person=sealed)
