"""Refills of the hot wallet: proposed by the system, asked for by treasury, approved."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from custody import locks, queries
from custody.actions import entitled, moves
from custody.actions.moves import NothingDue, Outdated
from custody.domain import refills
from custody.domain.refills import State
from custody.events import Event
from custody.models import Refill
from custody.permissions import Permission
from kernel import intent


@action(Event.REFILL_PROPOSED)
def propose_refill(*, target: str, source: str, actor: Actor, now: datetime) -> Refill:
    """A proposal for what the hot wallet lacks; NothingDue where it lacks nothing or one is under way."""
    name = f"custody.wallet/{target}"
    entitled.officer_or_machine(actor, Permission.PROPOSE_REFILL, now=now, target=name)
    hot = locks.wallet(queries.wallet_named(target).pk)
    cold = queries.wallet_named(source)
    need = queries.refill_need(hot, cold)
    if need is None or queries.live_refill(hot) is not None:
        raise NothingDue("Nothing was proposed: no refill is due.", target=name)
    return moves.propose(
        Refill,
        source=cold,
        target=hot,
        amount=need,
        fee_cap=refills.FEE_CAP,
        event=Event.REFILL_PROPOSED,
        where={"into": target},
        actor=actor,
        now=now,
    )


@action(Event.REFILL_REQUESTED)
def request_refill(*, refill_id: UUID, reason: str, actor: Actor, now: datetime) -> Refill:
    """A proposal put before the checkers by a treasury maker, who answers for it and so is never among
    them.
    """
    target = f"custody.refill/{refill_id}"
    maker = entitled.officer(actor, Permission.PROPOSE_REFILL, now=now, target=target)
    said = entitled.said(reason, target=target)
    row = locks.refill(refill_id)
    moves.check_asked(row)
    check_need(
        row,
        "Nothing was asked: the wallets hold something else than when this was proposed. Put it aside; "
        "another is proposed where one is due.",
    )
    moves.put_before_checkers(
        row, intent.REFILL, maker=maker, event=Event.REFILL_REQUESTED, reason=said, actor=actor, now=now
    )
    return row


@action(Event.REFILL_DISMISSED)
def dismiss_refill(*, refill_id: UUID, reason: str, actor: Actor, now: datetime) -> Refill:
    """A proposal put aside; the next one comes when the wallet is still low."""
    target = f"custody.refill/{refill_id}"
    entitled.officer(actor, Permission.DISMISS_REFILL, now=now, target=target)
    row = locks.refill(refill_id)
    said = entitled.said(reason, target=target)
    moves.end(row, State.DISMISSED, event=Event.REFILL_DISMISSED, actor=actor, now=now, reason=said)
    return row


@action(Event.REFILL_APPROVED)
def approve_refill(*, request: ApprovalRequest, actor: Actor, now: datetime) -> Refill:
    """Carry the quorum's yes into the refill; runs in the transaction of the deciding signature."""
    row = locks.refill(Refill.objects.values_list("pk", flat=True).get(request=request))
    moves.approve(row, request, event=Event.REFILL_APPROVED, actor=actor, now=now)
    return row


@action(Event.REFILL_LAPSED)
def lapse_refill(*, refill_id: UUID, actor: Actor, now: datetime) -> Refill:
    """A bundle that never came back, after its intent is void for every clock. Its coins stay claimed.

    One that came back in time has all its signatures here: it is put together and sent, however late.
    """
    row = locks.refill(refill_id)
    moves.lapse(
        row,
        queries.payment_of(row),
        out={State.EXPORTED},
        event=Event.REFILL_LAPSED,
        actor=actor,
        now=now,
    )
    return row


@action(Event.REFILL_FAILED)
def fail_refill(*, refill_id: UUID, reason: str, actor: Actor, now: datetime) -> Refill:
    """A refill given up: before its bundle left, or once a coin of it was spent elsewhere for good."""
    target = f"custody.refill/{refill_id}"
    entitled.officer_or_machine(actor, Permission.DISMISS_REFILL, now=now, target=target)
    row = locks.refill(refill_id)
    said = entitled.said(reason, target=target)
    moves.fail(row, queries.payment_of(row), event=Event.REFILL_FAILED, actor=actor, now=now, reason=said)
    return row


def close_with_request(
    request: ApprovalRequest, state: State, *, event: Event, actor: Actor, now: datetime
) -> Refill:
    """Carry the quorum's no, or its silence, into the refill."""
    row = locks.refill(Refill.objects.values_list("pk", flat=True).get(request=request))
    moves.end(row, state, event=event, actor=actor, now=now)
    return row


def check_need(row: Refill, refusal: str, *, claimed: int = 0) -> None:
    """Outdated where it would bring the hot wallet more than it needs by now, or the cold one has no more."""
    need = queries.refill_need(row.target, row.source, claimed=claimed)
    if refills.is_stale(row.amount, need, queries.marks_of(row.target)):
        raise Outdated(refusal, target=f"custody.refill/{row.pk}")
