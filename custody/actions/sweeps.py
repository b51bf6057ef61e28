"""Sweeps of the hot wallet: proposed by the system, asked for by treasury, approved."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from core import approvals, audit, freezes
from core.action import action
from core.actor import Actor
from core.approvals import moving
from core.approvals.domain.requests import State as RequestState
from core.approvals.models import ApprovalRequest
from custody import locks, queries
from custody.actions import announcing, entitled
from custody.actions.refills import NothingDue, Outdated
from custody.actions.withdrawals import whole_seconds
from custody.domain import sweeps
from custody.domain.sweeps import State
from custody.events import Event
from custody.models import Address, Sweep
from custody.permissions import Permission
from kernel import canonical, intent
from kernel.intent import Intent


@action(Event.SWEEP_PROPOSED)
def propose_sweep(*, source: str, target: str, actor: Actor, now: datetime) -> Sweep:
    """A proposal for what the hot wallet has too much; NothingDue where it has not, or one is under way."""
    name = f"custody.wallet/{source}"
    entitled.officer_or_machine(actor, Permission.PROPOSE_SWEEP, now=now, target=name)
    hot = locks.wallet(queries.wallet_named(source).pk)
    cold = queries.wallet_named(target)
    due = queries.sweep_due(hot)
    if due is None or queries.live_sweep(hot) is not None:
        raise NothingDue("Nothing was proposed: no sweep is due.", target=name)
    try:
        with transaction.atomic():
            row = Sweep.objects.create(
                source=hot,
                target=cold,
                asset=due.asset,
                units=due.units,
                fee_cap_units=sweeps.FEE_CAP.units,
                destination=Address.objects.get(wallet=cold, index=0).address,
                proposed_at=now,
            )
    except IntegrityError as error:
        raise NothingDue("Nothing was proposed: a sweep is under way.", target=name) from error
    after = {"state": row.state, "amount": due, "out of": source}
    audit.record(Event.SWEEP_PROPOSED, row, actor=actor, now=now, after=after)
    announcing.moved(row, now=now)
    return row


@action(Event.SWEEP_REQUESTED)
def request_sweep(*, sweep_id: UUID, reason: str, actor: Actor, now: datetime) -> Sweep:
    """A proposal put before the checkers by a treasury maker, who answers for it and so is never among
    them.
    """
    target = f"custody.sweep/{sweep_id}"
    maker = entitled.officer(actor, Permission.PROPOSE_SWEEP, now=now, target=target)
    said = entitled.said(reason, target=target)
    row = locks.sweep(sweep_id)
    row.check_step(State.REQUESTED)
    freezes.check(*queries.stops(row))
    if not is_due(row):
        raise Outdated(
            "Nothing was asked: the wallets hold something else than when this was proposed, or a refill is "
            "on its way. Put it aside; another is proposed where one is due.",
            target=target,
        )
    policy = queries.policy(intent.SWEEP)

    def meant(life: timedelta) -> Intent:
        return Intent(
            kind=intent.SWEEP,
            deployment=settings.DEPLOYMENT,
            network=settings.NETWORK,
            amount=row.amount,
            destination=row.destination,
            destination_label=f"{row.target.name} wallet, address 0",
            fee_cap=row.fee_cap,
            source=row.source.name,
            reference=row.pk,
            maker=maker.pk,
            policy=policy.version,
            expires=whole_seconds(now) + life,
        )

    request = approvals.open(
        intent.SWEEP,
        lambda life: canonical.decode_object(meant(life).encoded()),
        maker=maker,
        teams=policy.teams,
        subject=row,
        actor=actor,
        now=now,
        facts={
            **queries.facts_of(row.amount, now=now),
            "source": row.source.name,
            "destination": row.destination,
            "destination_class": "own",
        },
    )
    expires = Intent.parse(bytes(request.payload)).expires
    row.move_to(State.REQUESTED, request=request, maker=maker, expires_at=expires, reason=said[:500])
    audit.record(
        Event.SWEEP_REQUESTED,
        row,
        actor=actor,
        now=now,
        before={"state": State.PROPOSED},
        after={"state": row.state, "maker": maker.pk, "request": request.pk},
        reason=said,
    )
    announcing.moved(row, now=now)
    return row


@action(Event.SWEEP_DISMISSED)
def dismiss_sweep(*, sweep_id: UUID, reason: str, actor: Actor, now: datetime) -> Sweep:
    """A proposal put aside; the next one comes when the wallet is still too full."""
    target = f"custody.sweep/{sweep_id}"
    entitled.officer(actor, Permission.DISMISS_SWEEP, now=now, target=target)
    row = locks.sweep(sweep_id)
    said = entitled.said(reason, target=target)
    end(row, State.DISMISSED, event=Event.SWEEP_DISMISSED, actor=actor, now=now, reason=said)
    return row


@action(Event.SWEEP_APPROVED)
def approve_sweep(*, request: ApprovalRequest, actor: Actor, now: datetime) -> Sweep:
    """Carry the quorum's yes into the sweep; runs in the transaction of the deciding signature."""
    row = locks.sweep(Sweep.objects.values_list("pk", flat=True).get(request=request))
    row.move_to(State.APPROVED)
    audit.record(
        Event.SWEEP_APPROVED,
        row,
        actor=actor,
        now=now,
        before={"state": State.REQUESTED},
        after={"state": row.state, "digest": bytes(request.digest)},
    )
    announcing.moved(row, now=now)
    return row


def close_with_request(
    request: ApprovalRequest, state: State, *, event: Event, actor: Actor, now: datetime
) -> Sweep:
    """Carry the quorum's no, or its silence, into the sweep."""
    row = locks.sweep(Sweep.objects.values_list("pk", flat=True).get(request=request))
    end(row, state, event=event, actor=actor, now=now)
    return row


def end(row: Sweep, state: State, *, event: Event, actor: Actor, now: datetime, reason: str = "") -> None:
    """Move it to where it ends, and take back a request that would still let it be paid."""
    before = row.state
    row.move_to(state, reason=reason or row.reason)
    request = row.request
    if request is not None and request.state in (RequestState.OPEN, RequestState.APPROVED):
        moving.move(request, RequestState.WITHDRAWN, now=now)
    audit.record(
        event, row, actor=actor, now=now, before={"state": before}, after={"state": row.state}, reason=reason
    )
    announcing.moved(row, now=now)


def is_due(row: Sweep, *, claimed: int = 0) -> bool:
    """Whether the hot wallet has so much too much by now; `claimed` units are this sweep's own coins."""
    due = queries.sweep_due(row.source, claimed=claimed)
    return not sweeps.is_stale(row.amount, due, queries.overflow_of(row.source))
