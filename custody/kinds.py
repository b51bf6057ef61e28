"""The kinds of act that custody puts before checkers, and what follows a yes, a no or silence."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core.access.models import Identity
from core.actor import Actor
from core.approvals.kinds import Kind, no_conflict
from core.approvals.models import ApprovalRequest
from custody import confirming, queries
from custody.actions import adjustments, orders, refills, screenings, sweeps
from custody.domain import adjustments as adjusting
from custody.domain import refills as refilling
from custody.domain import sweeps as sweeping
from custody.domain import withdrawals
from custody.domain.adjustments import State as AdjustmentState
from custody.domain.orders import Kind as Order
from custody.domain.orders import State as OrderState
from custody.domain.refills import State as RefillState
from custody.domain.sweeps import State as SweepState
from custody.domain.withdrawals import State as WithdrawalState
from custody.events import Event
from custody.permissions import Permission
from kernel import intent
from kernel.approval import Verb

_AMOUNT: Final = frozenset({"asset", "amount", "usd_cents"})
_PAYMENT: Final = _AMOUNT | {"source", "destination", "destination_class"}


def _withdrawal_approved(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    screenings.approve_withdrawal(request=request, actor=actor, now=now)


def _withdrawal_rejected(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    screenings.close_with_request(
        request, WithdrawalState.REJECTED, event=Event.WITHDRAWAL_REJECTED, actor=actor, now=now
    )


def _withdrawal_expired(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    screenings.close_with_request(
        request, WithdrawalState.EXPIRED, event=Event.WITHDRAWAL_EXPIRED, actor=actor, now=now
    )


def _refill_approved(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    refills.approve_refill(request=request, actor=actor, now=now)


def _refill_rejected(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    refills.close_with_request(
        request, RefillState.REJECTED, event=Event.REFILL_REJECTED, actor=actor, now=now
    )


def _refill_expired(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    refills.close_with_request(request, RefillState.EXPIRED, event=Event.REFILL_EXPIRED, actor=actor, now=now)


def _sweep_approved(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    sweeps.approve_sweep(request=request, actor=actor, now=now)


def _sweep_rejected(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    sweeps.close_with_request(request, SweepState.REJECTED, event=Event.SWEEP_REJECTED, actor=actor, now=now)


def _sweep_expired(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    sweeps.close_with_request(request, SweepState.EXPIRED, event=Event.SWEEP_EXPIRED, actor=actor, now=now)


def _adjustment_approved(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    adjustments.post_adjustment(request=request, actor=actor, now=now)


def _adjustment_rejected(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    adjustments.close_with_request(
        request, AdjustmentState.REJECTED, event=Event.ADJUSTMENT_REJECTED, actor=actor, now=now
    )


def _adjustment_expired(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    adjustments.close_with_request(
        request, AdjustmentState.EXPIRED, event=Event.ADJUSTMENT_EXPIRED, actor=actor, now=now
    )


WITHDRAWAL: Final = Kind(
    name=intent.WITHDRAWAL,
    permission=Permission.APPROVE_WITHDRAWAL,
    on_approved=_withdrawal_approved,
    on_rejected=_withdrawal_rejected,
    on_expired=_withdrawal_expired,
    title="Withdrawal",
    people_min=2,
    facts=_PAYMENT | {"customer", "customer_tier", "risk"},
    confirms=confirming.decoder_key,
    governed=True,
    approve_within=withdrawals.APPROVE_WITHIN,
    execute_within=withdrawals.EXECUTE_WITHIN,
    waivable=True,
)
REFILL: Final = Kind(
    name=intent.REFILL,
    permission=Permission.APPROVE_REFILL,
    on_approved=_refill_approved,
    on_rejected=_refill_rejected,
    on_expired=_refill_expired,
    title="Refill of the hot wallet",
    people_min=2,
    facts=_PAYMENT,
    confirms=confirming.decoder_key,
    governed=True,
    approve_within=refilling.APPROVE_WITHIN,
    execute_within=refilling.EXECUTE_WITHIN,
    asks=True,
)
SWEEP: Final = Kind(
    name=intent.SWEEP,
    permission=Permission.APPROVE_SWEEP,
    on_approved=_sweep_approved,
    on_rejected=_sweep_rejected,
    on_expired=_sweep_expired,
    title="Sweep of the hot wallet",
    people_min=2,
    facts=_PAYMENT,
    confirms=confirming.decoder_key,
    governed=True,
    approve_within=sweeping.APPROVE_WITHIN,
    execute_within=sweeping.EXECUTE_WITHIN,
    asks=True,
)
ADJUSTMENT: Final = Kind(
    name=adjustments.KIND,
    permission=Permission.APPROVE_ADJUSTMENT,
    on_approved=_adjustment_approved,
    on_rejected=_adjustment_rejected,
    on_expired=_adjustment_expired,
    title="Adjustment of a balance",
    floor=adjustments.TEAMS,
    facts=_AMOUNT | {"customer", "customer_tier"},
    governed=True,
    approve_within=adjusting.APPROVE_WITHIN,
    execute_within=adjusting.EXECUTE_WITHIN,
)


def _order_released(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    orders.give_order(request=request, actor=actor, now=now)


def _order_rejected(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    orders.close_with_request(request, OrderState.REJECTED, event=Event.ORDER_REJECTED, actor=actor, now=now)


def _order_expired(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    orders.close_with_request(request, OrderState.EXPIRED, event=Event.ORDER_EXPIRED, actor=actor, now=now)


def _ordered_it(request: ApprovalRequest, officer: Identity) -> str | None:
    """What signers do by themselves is said here before somebody signs in vain."""
    if officer.pk not in queries.uncounted(request.subject.removeprefix(f"custody.signer/{Order.RELEASE}/")):
        return None
    return (
        "You ordered this or it is about you, so signers do not count your release. Others must answer; "
        "you may ask for it."
    )


ORDERS: Final = tuple(
    Kind(
        name=order.value,
        permission=Permission.APPROVE_ORDER,
        on_approved=_order_released,
        on_rejected=_order_rejected,
        on_expired=_order_expired,
        title=title,
        people_min=2,
        facts=frozenset({fact}),
        agreeing=Verb.RELEASE,
        asks=True,
        conflict=_ordered_it if order is Order.RELEASE else no_conflict,
    )
    for order, title, fact in (
        (Order.RELEASE, "Release of the signers", "wallet"),
        (Order.REOPEN, "Reopening of a signer", "signer"),
        (Order.REGISTRY, "New registry for the signers", "registry_version"),
    )
)
"""The orders that a quorum gives; a stop is not among them, because one officer gives it alone."""
