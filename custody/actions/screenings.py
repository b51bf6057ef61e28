"""Screening a withdrawal, and what officers decide about one that is on hold or waits for approval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from core import approvals, audit
from core.access.models import Identity
from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.approvals.policies import PolicyRefuses
from custody import locks, queries
from custody.actions import announcing, entitled
from custody.actions.withdrawals import end, whole_seconds
from custody.domain import beneficiaries
from custody.domain.beneficiaries import Verdict
from custody.domain.withdrawals import State
from custody.events import Event
from custody.models import Beneficiary, Withdrawal
from custody.permissions import Permission
from kernel import canonical, intent
from kernel.intent import Intent

CLEAR: Final = "clear"
HELD: Final = "held"
"""What the policy is told of the screening: whether it had something to say that an officer looked into."""


@action(Event.WITHDRAWAL_SCREENED)
def report_screening(*, withdrawal_id: UUID, hits: Sequence[str], actor: Actor, now: datetime) -> Withdrawal:
    """What the lists say about a withdrawal: clear ones go before the checkers, all others wait for an
    officer.

    A second report about the same withdrawal changes nothing.
    """
    row = locks.withdrawal(withdrawal_id)
    if row.state != State.REQUESTED:
        return row
    found = beneficiaries.screened(cleared_at=row.beneficiary.cleared_at, hits=hits)
    if found.verdict is Verdict.HOLD:
        row.move_to(State.ON_HOLD, reason="; ".join(found.reasons)[:500])
    else:
        automatic = Identity.objects.get(pk=beneficiaries.AUTOMATIC)
        try:
            _put_before_checkers(row, automatic, risk=CLEAR, actor=actor, now=now)
        except PolicyRefuses as refusal:
            # Nobody reads a machine's refusal: the withdrawal waits for an officer, with the reason on it.
            row.move_to(State.ON_HOLD, reason=str(refusal)[:500])
    audit.record(
        Event.WITHDRAWAL_SCREENED,
        row,
        actor=actor,
        now=now,
        before={"state": State.REQUESTED},
        after={"state": row.state, "verdict": found.verdict, "reasons": found.reasons},
    )
    announcing.moved(row, now=now)
    return row


@action(Event.WITHDRAWAL_RELEASED)
def release_from_screening(*, withdrawal_id: UUID, reason: str, actor: Actor, now: datetime) -> Withdrawal:
    """A withdrawal on hold put before the checkers. Whoever releases it is its maker, and so never among
    them.
    """
    target = f"custody.withdrawal/{withdrawal_id}"
    maker = entitled.officer(actor, Permission.RELEASE_WITHDRAWAL, now=now, target=target)
    row = locks.withdrawal(withdrawal_id)
    before, disposition = row.state, entitled.said(reason, target=target)
    _put_before_checkers(row, maker, risk=HELD, actor=actor, now=now)
    Beneficiary.objects.filter(pk=row.beneficiary_id, cleared_at=None).update(
        cleared_at=now, cleared_by=maker
    )
    audit.record(
        Event.WITHDRAWAL_RELEASED,
        row,
        actor=actor,
        now=now,
        before={"state": before, "held_for": row.reason},
        after={"state": row.state, "maker": maker.pk},
        reason=disposition,
    )
    announcing.moved(row, now=now)
    return row


@action(Event.WITHDRAWAL_REJECTED)
def reject_withdrawal(*, withdrawal_id: UUID, reason: str, actor: Actor, now: datetime) -> Withdrawal:
    """A withdrawal refused by an officer before there is a transaction; its funds are free again."""
    target = f"custody.withdrawal/{withdrawal_id}"
    entitled.officer(actor, Permission.RELEASE_WITHDRAWAL, now=now, target=target)
    row = locks.withdrawal(withdrawal_id)
    said = entitled.said(reason, target=target)
    end(row, State.REJECTED, event=Event.WITHDRAWAL_REJECTED, actor=actor, now=now, reason=said)
    return row


@action(Event.WITHDRAWAL_APPROVED)
def approve_withdrawal(*, request: ApprovalRequest, actor: Actor, now: datetime) -> Withdrawal:
    """Carry the quorum's yes into the withdrawal; runs in the transaction of the deciding signature."""
    row = locks.withdrawal(Withdrawal.objects.values_list("pk", flat=True).get(request=request))
    row.move_to(State.APPROVED)
    audit.record(
        Event.WITHDRAWAL_APPROVED,
        row,
        actor=actor,
        now=now,
        before={"state": State.SCREENED},
        after={"state": row.state, "request": request.pk, "digest": bytes(request.digest)},
    )
    announcing.moved(row, now=now)
    return row


def close_with_request(
    request: ApprovalRequest, state: State, *, event: Event, actor: Actor, now: datetime
) -> Withdrawal:
    """Carry the quorum's no, or its silence, into the withdrawal."""
    row = locks.withdrawal(Withdrawal.objects.values_list("pk", flat=True).get(request=request))
    last = request.signatures.filter(verb="reject").order_by("-signed_at").first()
    end(row, state, event=event, actor=actor, now=now, reason=last.reason[:500] if last else "")
    return row


def _put_before_checkers(row: Withdrawal, maker: Identity, *, risk: str, actor: Actor, now: datetime) -> None:
    """Open the request over the canonical intent, under the policy in force, and link it."""
    row.check_step(State.SCREENED)
    policy = queries.policy(intent.WITHDRAWAL)

    def meant(life: timedelta) -> Intent:
        return Intent(
            kind=intent.WITHDRAWAL,
            deployment=settings.DEPLOYMENT,
            network=settings.NETWORK,
            amount=row.amount,
            destination=row.destination,
            destination_label=row.beneficiary.label,
            fee_cap=row.fee_cap,
            source=policy.source,
            reference=row.pk,
            customer=row.customer_id,
            maker=maker.pk,
            policy=policy.version,
            expires=whole_seconds(now) + life,
        )

    request = approvals.open(
        intent.WITHDRAWAL,
        lambda life: canonical.decode_object(meant(life).encoded()),
        maker=maker,
        teams=policy.teams,
        subject=row,
        actor=actor,
        now=now,
        facts={
            **queries.facts_of(row.amount, now=now),
            "source": policy.source,
            "destination": row.destination,
            "destination_class": "known" if row.beneficiary.cleared_at else "new",
            "customer": str(row.customer_id),
            "customer_tier": row.customer.tier,
            "risk": risk,
        },
    )
    row.move_to(
        State.SCREENED,
        request=request,
        maker=maker,
        expires_at=Intent.parse(bytes(request.payload)).expires,
    )
