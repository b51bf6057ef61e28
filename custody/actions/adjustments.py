"""Correcting a customer's balance: one officer asks, another agrees, and only then it is posted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from core import approvals, audit, ledger, outbox
from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.refusals import NotFound, Refused
from custody import locks, queries
from custody.actions import entitled
from custody.domain.adjustments import State
from custody.events import AdjustmentMoved, Event
from custody.models import Adjustment
from custody.permissions import Permission
from customers.models import Customer
from kernel import canonical
from kernel.intent import time_text
from kernel.money import Amount

KIND: Final = "custody.adjustment"
TEAMS: Final = {"officers": 2}
_REFERENCE_MAX: Final = 64


class BadAdjustment(Refused):
    """Nothing to credit, or no reference to tell it from the next one."""

    code = "adjustment.malformed"
    status = 422


class ReferenceUsed(Refused):
    """The reference already names an adjustment; `adjustment` is its id."""

    code = "adjustment.reference_used"


@action(Event.ADJUSTMENT_REQUESTED)
def request_adjustment(
    *, customer_id: UUID, amount: Amount, reason: str, reference: str, actor: Actor, now: datetime
) -> Adjustment:
    """A credit put before the checkers. `reference` names it once: the same one again is refused."""
    target = f"customers.customer/{customer_id}"
    maker = entitled.officer(actor, Permission.PROPOSE_ADJUSTMENT, now=now, target=target)
    said = entitled.said(reason, target=target)
    if amount.units <= 0 or not 1 <= len(reference) <= _REFERENCE_MAX:
        raise BadAdjustment("Nothing was asked: an adjustment has an amount and a reference.", target=target)
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        raise NotFound("There is no such customer.", target=target)
    row, made = Adjustment.objects.get_or_create(
        reference=reference,
        defaults={
            "customer": customer,
            "asset": amount.asset,
            "units": amount.units,
            "reason": said,
            "maker": maker,
            "requested_at": now,
        },
    )
    if not made:
        raise ReferenceUsed("Nothing was asked: this reference names another adjustment.", target=str(row))

    def payload(life: timedelta) -> dict[str, canonical.Value]:
        return {
            "v": 2,
            "kind": KIND,
            "deployment": settings.DEPLOYMENT,
            "asset": amount.asset,
            "amount": str(amount.units),
            "customer": str(customer.pk),
            "reason": said,
            "reference": reference,
            "adjustment": str(row.pk),
            "maker": str(maker.pk),
            "expires": time_text((now + life).astimezone(UTC).replace(microsecond=0)),
        }

    row.request = approvals.open(
        KIND,
        payload,
        maker=maker,
        teams=TEAMS,
        subject=row,
        actor=actor,
        now=now,
        facts={
            **queries.facts_of(amount, now=now),
            "customer": str(customer.pk),
            "customer_tier": customer.tier,
        },
    )
    row.save(update_fields=["request"])
    audit.record(
        Event.ADJUSTMENT_REQUESTED,
        row,
        actor=actor,
        now=now,
        after={"state": row.state, "customer": customer.pk, "amount": amount},
        reason=said,
    )
    _announce(row, now=now)
    return row


@action(Event.ADJUSTMENT_POSTED)
def post_adjustment(*, request: ApprovalRequest, actor: Actor, now: datetime) -> Adjustment:
    """Post the credit, in the transaction of the deciding signature; its other side is the outside world."""
    row = _of(request)
    approvals.consume(request, now=now)
    row.move_to(State.POSTED, posted_at=now)
    ledger.post(
        KIND,
        str(row.pk),
        [
            ledger.Leg(
                ledger.account(ledger.AccountKind.CUSTOMER_FUNDING, row.asset, row.customer_id), row.amount
            ),
            ledger.Leg(ledger.account(ledger.AccountKind.EXTERNAL, row.asset), -row.amount),
        ],
        now=now,
    )
    audit.record(
        Event.ADJUSTMENT_POSTED,
        row,
        actor=actor,
        now=now,
        before={"state": State.REQUESTED},
        after={"state": row.state, "amount": row.amount, "request": request.pk},
    )
    _announce(row, now=now)
    return row


def close_with_request(
    request: ApprovalRequest, state: State, *, event: Event, actor: Actor, now: datetime
) -> Adjustment:
    """Carry the no, or the silence, into the adjustment."""
    row = _of(request)
    row.move_to(state)
    audit.record(
        event, row, actor=actor, now=now, before={"state": State.REQUESTED}, after={"state": row.state}
    )
    _announce(row, now=now)
    return row


def _of(request: ApprovalRequest) -> Adjustment:
    return locks.adjustment(Adjustment.objects.values_list("pk", flat=True).get(request=request))


def _announce(row: Adjustment, *, now: datetime) -> None:
    outbox.publish(AdjustmentMoved(adjustment=row.pk, state=str(row.state)), now=now)
