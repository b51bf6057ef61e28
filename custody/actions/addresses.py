"""Deposit addresses: each customer has one of the hot pool."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import audit, freezes, outbox
from core.action import action
from core.actor import Actor
from core.freezes.domain import scopes
from core.refusals import NotAllowed, Refused
from custody import locks, queries
from custody.events import AddressAssigned, Event
from custody.models import Address, Wallet
from customers.models import Customer


class PoolEmpty(Refused):
    """Every address of the pool has an owner; treasury must enlarge it."""

    code = "address.pool_empty"
    status = 503


@action(Event.ADDRESS_ASSIGNED)
def assign_address(*, customer_id: UUID, asset: str, actor: Actor, now: datetime) -> Address:
    """The customer's deposit address; the first call takes one from the pool, later ones give the same.

    A frozen customer gets no first one. What arrives at the one that they have is credited all the same:
    coins cannot be turned away, and must not be where nobody sees them.
    """
    target = f"customers.customer/{customer_id}"
    if actor.kind != "customer" or actor.identity != customer_id:
        raise NotAllowed("Only the customer asks for a deposit address.", target=target)
    locks.customer_withdrawals(customer_id)
    present = queries.deposit_address_of(customer_id)
    if present is not None:
        return present
    freezes.check(scopes.customer(customer_id))
    wallet = Wallet.objects.filter(tier="hot", asset=asset).first()
    row = locks.free_address(wallet) if wallet is not None else None
    if row is None:
        raise PoolEmpty(
            f"No address was assigned: there is none left for {asset}. Support can say when there will be.",
            target=target,
        )
    customer = Customer.objects.get(pk=customer_id)
    row.customer, row.assigned_at = customer, now
    row.save(update_fields=["customer", "assigned_at"])
    audit.record(
        Event.ADDRESS_ASSIGNED,
        row,
        actor=actor,
        now=now,
        after={"customer": customer.pk, "address": row.address},
    )
    outbox.publish(AddressAssigned(customer=customer.pk, address=row.address), now=now)
    return row
