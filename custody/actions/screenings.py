"""Screening a withdrawal, and what officers decide about one that is on hold or waits for approval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from core import audit
from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.approvals.policies import PolicyRefuses
from custody import locks
from custody.actions import announcing, entitled, offers
from custody.actions.withdrawals import end
from custody.domain import beneficiaries
from custody.domain.beneficiaries import Verdict
from custody.domain.withdrawals import State
from custody.events import Event
from custody.models import Beneficiary, Withdrawal
from custody.permissions import Permission


@action(Event.WITHDRAWAL_SCREENED)
def report_screening(*, withdrawal_id: UUID, hits: Sequence[str], actor: Actor, now: datetime) -> Withdrawal:
    """What the lists say about a withdrawal: clear ones go to the signers' lane where the policy and the
    destination allow it, or else before the checkers; all others wait for an officer.

    A second report about the same withdrawal changes nothing.
    """
    row = locks.withdrawal(withdrawal_id)
    if row.state != State.REQUESTED:
        return row
    found = beneficiaries.screened(is_known=offers.is_known(row, now=now), hits=hits)
    if found.verdict is Verdict.HOLD:
        row.move_to(State.ON_HOLD, reason="; ".join(found.reasons)[:500])
    else:
        try:
            for_lane = offers.is_for_lane(row, now=now)
            if not (for_lane and offers.offer(row, actor=actor, now=now)):
                offers.put_before_checkers(
                    *(row, offers.automatic()),
                    risk=offers.CLEAR,
                    actor=actor,
                    now=now,
                    was_for_lane=for_lane,
                )
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
        reason=row.reason if row.state == State.ON_HOLD else "",
    )
    announcing.moved(row, now=now)
    return row


@action(Event.WITHDRAWAL_RELEASED)
def release_from_screening(*, withdrawal_id: UUID, reason: str, actor: Actor, now: datetime) -> Withdrawal:
    """A withdrawal on hold put before the checkers. Whoever releases it is its maker, and so never among
    them. It clears the destination for later withdrawals too, which the event says.
    """
    target = f"custody.withdrawal/{withdrawal_id}"
    maker = entitled.officer(actor, Permission.RELEASE_WITHDRAWAL, now=now, target=target)
    row = locks.withdrawal(withdrawal_id)
    before, disposition = row.state, entitled.said(reason, target=target)
    offers.put_before_checkers(row, maker, risk=offers.HELD, actor=actor, now=now)
    was_cleared = offers.is_cleared(row)
    if not was_cleared:
        Beneficiary.objects.filter(pk=row.beneficiary_id).update(cleared_at=now, cleared_by=maker)
    audit.record(
        Event.WITHDRAWAL_RELEASED,
        row,
        actor=actor,
        now=now,
        before={"state": before, "held_for": row.reason, "cleared": was_cleared},
        after={"state": row.state, "maker": maker.pk, "beneficiary": row.beneficiary_id, "cleared": True},
        reason=disposition,
    )
    announcing.moved(row, now=now)
    return row


@action(Event.WITHDRAWAL_REJECTED)
def reject_withdrawal(*, withdrawal_id: UUID, reason: str, actor: Actor, now: datetime) -> Withdrawal:
    """A withdrawal refused by an officer before signers saw approvals of it; its funds are free again, at
    once or as soon as `let_go` says.
    """
    target = f"custody.withdrawal/{withdrawal_id}"
    entitled.officer(actor, Permission.REJECT_WITHDRAWAL, now=now, target=target)
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
