"""What stops a withdrawal, a refill or a sweep: freezes, the hold on a customer whose account may not be
their own any more, and a tier that was lowered since. And what of it holds a transaction of ours back.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from core.approvals.standing import standing_of
from core.freezes import checking
from core.freezes import queries as freezes
from core.freezes.domain import scopes
from core.freezes.models import Freeze
from core.refusals import Refused
from custody.domain import limits
from custody.domain.withdrawals import ENDED
from custody.models import Owner, Payment, Withdrawal
from custody.queries.treasury import policy
from custody.queries.withdrawals import used_before
from customers.models import Customer
from kernel import intent


class WithdrawalsHeld(Refused):
    """The account got a new password by mail, or its second factor changed, a short while ago."""

    code: ClassVar[str] = "withdrawal.held"


class TierLowered(Refused):
    """The customer's tier allows less now than when they asked."""

    code: ClassVar[str] = "withdrawal.tier_lowered"


def stops(owner: Owner) -> tuple[str, ...]:
    """What would stop it: a freeze of its asset, or of a wallet that it takes coins from or fills; of a
    withdrawal also one of the customer or of all withdrawals.
    """
    if isinstance(owner, Withdrawal):
        return withdrawal_stops(owner.asset, owner.customer_id)
    return (f"asset:{owner.asset}", f"wallet:{owner.source.name}", f"wallet:{owner.target.name}")


def withdrawal_stops(asset: str, customer: UUID) -> tuple[str, ...]:
    """The same for a withdrawal that is only asked for."""
    source = policy(intent.WITHDRAWAL).source
    return (scopes.PLATFORM_WITHDRAWALS, f"asset:{asset}", scopes.customer(customer), f"wallet:{source}")


def held_by(row: Payment) -> list[Freeze]:
    """The freezes under which we give this transaction to no node; none once a node took it.

    What the network has, everybody can hand on: to hold our own copy back would stop nothing, and would only
    let it fall out of the node's memory, so that nobody could tell any more whether it will still be paid.
    """
    return [] if row.sent_at is not None else freezes.covering(*stops(row.owner))


def held_until(customer: UUID, *, now: datetime) -> datetime | None:
    """Until when this customer's withdrawals and new destinations wait; None where they do not."""
    rows = Customer.objects.filter(pk=customer, withdrawals_held_until__gt=now)
    return rows.values_list("withdrawals_held_until", flat=True).first()


def check_held(customer: UUID, *, now: datetime, undone: str) -> None:
    """Nothing, if no new password or second factor keeps the customer's withdrawals; WithdrawalsHeld."""
    until = held_until(customer, now=now)
    if until is not None:
        raise WithdrawalsHeld(
            f"{undone}: this account got a new password by mail, or another second factor, so nothing is "
            f"withdrawn before {until:%Y-%m-%d %H:%M} UTC.",
            target=f"customers.customer/{customer}",
        )


def is_above_tier(row: Withdrawal) -> bool:
    """Whether the customer's tier was lowered since they asked, so that today it would not be taken.

    Judged as of its own request, beside what had been asked for until then: no later one can stop it.
    """
    tier = Customer.objects.values_list("tier", flat=True).get(pk=row.customer_id)
    try:
        limits.check(tier=tier, used=used_before(row), asked=row.value_cents)
    except limits.OverLimit:
        return True
    return False


def is_stoppable(row: Withdrawal) -> bool:
    """Whether a hold or a lowered tier still keeps it: it is not over, and no node has taken it."""
    payment = getattr(row, "payment", None)
    return row.state not in ENDED and (payment is None or payment.sent_at is None)


def why_waits(row: Withdrawal, *, now: datetime) -> str:
    """Why a withdrawal goes no step further by itself, whatever is frozen; empty where it does."""
    until = held_until(row.customer_id, now=now)
    if until is not None:
        return f"hold on the customer until {until:%Y-%m-%d %H:%M} UTC"
    return "the customer's tier, which was lowered since" if is_above_tier(row) else ""


def check_stops(owner: Owner, *, now: datetime) -> None:
    """Nothing, if the owner may go on a step; Frozen, WithdrawalsHeld or TierLowered."""
    checking.check(*stops(owner))
    if not isinstance(owner, Withdrawal):
        return
    check_held(owner.customer_id, now=now, undone="Nothing was done")
    if is_above_tier(owner):
        raise TierLowered(
            "Nothing was done: the customer's tier was lowered since they asked, and does not allow this any "
            "more. It waits: reject it, or give it up, unless the tier is raised again.",
            target=f"custody.withdrawal/{owner.pk}",
        )


def loses_approvers(row: Payment, *, now: datetime) -> bool:
    """Whether fewer stand behind it by now than it takes: what waits for signers can have waited for hours.

    Its approval was used up when it was built, and signers know only of whom they were told themselves.
    """
    asked = row.owner.request
    return asked is not None and not standing_of(asked, now).approved


def stopped(row: Payment, *, now: datetime) -> str:
    """Why this transaction is put before no signer and given to no node; empty where it may be, or a node has
    it.
    """
    if row.sent_at is not None:
        return ""
    if found := held_by(row):
        return str(found[0])
    return why_waits(row.owner, now=now) if isinstance(row.owner, Withdrawal) else ""
