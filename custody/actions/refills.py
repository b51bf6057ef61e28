"""Refills of the hot wallet: proposed by the system, asked for by treasury, approved."""

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
from core.refusals import Refused
from custody import locks, queries
from custody.actions import announcing, entitled
from custody.actions.withdrawals import whole_seconds
from custody.domain import refills
from custody.domain.refills import State
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.events import Event
from custody.models import Address, Refill
from custody.permissions import Permission
from kernel import canonical, intent
from kernel.intent import Intent


class NothingDue(Refused):
    """The hot wallet has enough, or a refill is under way, or cold has nothing to give."""

    code = "refill.nothing_due"


class Outdated(Refused):
    """The wallets have changed since the refill was proposed."""

    code = "refill.outdated"


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
    destination = Address.objects.get(wallet=hot, index=0).address
    try:
        with transaction.atomic():
            row = Refill.objects.create(
                source=cold,
                target=hot,
                asset=need.asset,
                units=need.units,
                fee_cap_units=refills.FEE_CAP.units,
                destination=destination,
                proposed_at=now,
            )
    except IntegrityError as error:
        raise NothingDue("Nothing was proposed: a refill is under way.", target=name) from error
    audit.record(
        Event.REFILL_PROPOSED,
        row,
        actor=actor,
        now=now,
        after={"state": row.state, "amount": need, "into": target},
    )
    announcing.moved(row, now=now)
    return row


@action(Event.REFILL_REQUESTED)
def request_refill(*, refill_id: UUID, reason: str, actor: Actor, now: datetime) -> Refill:
    """A proposal put before the checkers by a treasury maker, who answers for it and so is never among
    them.
    """
    target = f"custody.refill/{refill_id}"
    maker = entitled.officer(actor, Permission.PROPOSE_REFILL, now=now, target=target)
    said = entitled.said(reason, target=target)
    row = locks.refill(refill_id)
    row.check_step(State.REQUESTED)
    freezes.check(*queries.stops(row))
    check_need(
        row,
        "Nothing was asked: the wallets hold something else than when this was proposed. Put it aside; "
        "another is proposed where one is due.",
    )
    policy = queries.policy(intent.REFILL)

    def meant(life: timedelta) -> Intent:
        return Intent(
            kind=intent.REFILL,
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
        intent.REFILL,
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
        Event.REFILL_REQUESTED,
        row,
        actor=actor,
        now=now,
        before={"state": State.PROPOSED},
        after={"state": row.state, "maker": maker.pk, "request": request.pk},
        reason=said,
    )
    announcing.moved(row, now=now)
    return row


@action(Event.REFILL_DISMISSED)
def dismiss_refill(*, refill_id: UUID, reason: str, actor: Actor, now: datetime) -> Refill:
    """A proposal put aside; the next one comes when the wallet is still low."""
    target = f"custody.refill/{refill_id}"
    entitled.officer(actor, Permission.DISMISS_REFILL, now=now, target=target)
    row = locks.refill(refill_id)
    said = entitled.said(reason, target=target)
    end(row, State.DISMISSED, event=Event.REFILL_DISMISSED, actor=actor, now=now, reason=said)
    return row


@action(Event.REFILL_APPROVED)
def approve_refill(*, request: ApprovalRequest, actor: Actor, now: datetime) -> Refill:
    """Carry the quorum's yes into the refill; runs in the transaction of the deciding signature."""
    row = locks.refill(Refill.objects.values_list("pk", flat=True).get(request=request))
    row.move_to(State.APPROVED)
    audit.record(
        Event.REFILL_APPROVED,
        row,
        actor=actor,
        now=now,
        before={"state": State.REQUESTED},
        after={"state": row.state, "digest": bytes(request.digest)},
    )
    announcing.moved(row, now=now)
    return row


@action(Event.REFILL_LAPSED)
def lapse_refill(*, refill_id: UUID, actor: Actor, now: datetime) -> Refill:
    """A bundle that never came back, after its intent is void for every clock. Its coins stay claimed.

    One that came back in time has all its signatures here: it is put together and sent, however late.
    """
    row = locks.refill(refill_id)
    payment = queries.payment_of(row)
    is_signed = payment is not None and queries.is_complete(payment)
    is_void = row.expires_at is not None and row.expires_at + CLOCKS_DIFFER_MAX <= now
    if row.state == State.EXPORTED and is_void and not is_signed:
        end(row, State.LAPSED, event=Event.REFILL_LAPSED, actor=actor, now=now)
    return row


def close_with_request(
    request: ApprovalRequest, state: State, *, event: Event, actor: Actor, now: datetime
) -> Refill:
    """Carry the quorum's no, or its silence, into the refill."""
    row = locks.refill(Refill.objects.values_list("pk", flat=True).get(request=request))
    end(row, state, event=event, actor=actor, now=now)
    return row


def end(row: Refill, state: State, *, event: Event, actor: Actor, now: datetime, reason: str = "") -> None:
    before = row.state
    row.move_to(state, reason=reason or row.reason)
    request = row.request
    if request is not None and request.state in (RequestState.OPEN, RequestState.APPROVED):
        moving.move(request, RequestState.WITHDRAWN, now=now)
    audit.record(
        event, row, actor=actor, now=now, before={"state": before}, after={"state": row.state}, reason=reason
    )
    announcing.moved(row, now=now)


def check_need(row: Refill, refusal: str, *, claimed: int = 0) -> None:
    """Outdated where it would bring the hot wallet more than it needs by now, or the cold one has no more."""
    need = queries.refill_need(row.target, row.source, claimed=claimed)
    if refills.is_stale(row.amount, need, queries.marks_of(row.target)):
        raise Outdated(refusal, target=f"custody.refill/{row.pk}")
