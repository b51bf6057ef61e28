"""Which freezes stop a withdrawal or a refill, and which of them hold a transaction of ours back."""

from __future__ import annotations

from uuid import UUID

from core.freezes import queries as freezes
from core.freezes.domain import scopes
from core.freezes.models import Freeze
from custody.models import Payment, Refill, Withdrawal
from custody.queries.treasury import policy
from kernel import intent


def stops(owner: Withdrawal | Refill) -> tuple[str, ...]:
    """What would stop it: a freeze of its asset, or of a wallet that it takes coins from or fills; of a
    withdrawal also one of the customer or of all withdrawals.
    """
    if isinstance(owner, Refill):
        return (f"asset:{owner.asset}", f"wallet:{owner.source.name}", f"wallet:{owner.target.name}")
    return withdrawal_stops(owner.asset, owner.customer_id)


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
