"""Sweeps of the hot wallet: proposed by the system, asked for by treasury, approved."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from custody import locks, queries
from custody.actions import entitled, moves
from custody.actions.moves import NothingDue, Outdated
from custody.domain import sweeps
from custody.domain.sweeps import State
from custody.events import Event
from custody.models import Sweep
from custody.permissions import Permission
from kernel import intent


@action(Event.SWEEP_PROPOSED)
def propose_sweep(*, source: str, target: str, actor: Actor, now: datetime) -> Sweep:
    """A proposal for what the hot wallet has too much; NothingDue where it has not, or one is under way."""
    name = f"custody.wallet/{source}"
    entitled.officer_or_machine(actor, Permission.PROPOSE_SWEEP, now=now, target=name)
    hot = locks.wallet(queries.wallet_named(source).pk)
    due = queries.sweep_due(hot)
    if due is None or queries.live_sweep(hot) is not None:
        raise NothingDue("Nothing was proposed: no sweep is due.", target=name)
    return moves.propose(
        Sweep,
        source=hot,
        target=queries.wallet_named(target),
        amount=due,
        fee_cap=sweeps.FEE_CAP,
        event=Event.SWEEP_PROPOSED,
        where={"out of": source},
        actor=actor,
        now=now,
    )


@action(Event.SWEEP_REQUESTED)
def request_sweep(*, sweep_id: UUID, reason: str, actor: Actor, now: datetime) -> Sweep:
    """A proposal put before the checkers by a treasury maker, who answers for it and so is never among
    them.
    """
    target = f"custody.sweep/{sweep_id}"
    maker = entitled.officer(actor, Permission.PROPOSE_SWEEP, now=now, target=target)
    said = entitled.said(reason, target=target)
    row = locks.sweep(sweep_id)
    moves.check_asked(row)
    if not is_due(row):
        raise Outdated(
            "Nothing was asked: the wallets hold something else than when this was proposed, or a refill is "
            "on its way. Put it aside; another is proposed where one is due.",
            target=target,
        )
    moves.put_before_checkers(
        row, intent.SWEEP, maker=maker, event=Event.SWEEP_REQUESTED, reason=said, actor=actor, now=now
    )
    return row


@action(Event.SWEEP_DISMISSED)
def dismiss_sweep(*, sweep_id: UUID, reason: str, actor: Actor, now: datetime) -> Sweep:
    """A proposal put aside; the next one comes when the wallet is still too full."""
    target = f"custody.sweep/{sweep_id}"
    entitled.officer(actor, Permission.DISMISS_SWEEP, now=now, target=target)
    row = locks.sweep(sweep_id)
    said = entitled.said(reason, target=target)
    moves.end(row, State.DISMISSED, event=Event.SWEEP_DISMISSED, actor=actor, now=now, reason=said)
    return row


@action(Event.SWEEP_APPROVED)
def approve_sweep(*, request: ApprovalRequest, actor: Actor, now: datetime) -> Sweep:
    """Carry the quorum's yes into the sweep; runs in the transaction of the deciding signature."""
    row = locks.sweep(Sweep.objects.values_list("pk", flat=True).get(request=request))
    moves.approve(row, request, event=Event.SWEEP_APPROVED, actor=actor, now=now)
    return row


def close_with_request(
    request: ApprovalRequest, state: State, *, event: Event, actor: Actor, now: datetime
) -> Sweep:
    """Carry the quorum's no, or its silence, into the sweep."""
    row = locks.sweep(Sweep.objects.values_list("pk", flat=True).get(request=request))
    moves.end(row, state, event=event, actor=actor, now=now)
    return row


def is_due(row: Sweep, *, claimed: int = 0) -> bool:
    """Whether the hot wallet has so much too much by now; `claimed` units are this sweep's own coins."""
    due = queries.sweep_due(row.source, claimed=claimed)
    return not sweeps.is_stale(row.amount, due, queries.overflow_of(row.source))
