"""Claiming rows: what every action begins with.

Always in this order, so that two actions cannot wait for each other: approval request, owner (withdrawal,
refill, sweep, adjustment, order), payment, coins, ledger accounts.
"""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.db import connection, models

from core.approvals import locks as approval_locks
from core.refusals import Conflict, NotFound
from custody.models import (
    Address,
    Adjustment,
    Deposit,
    Owner,
    Payment,
    Refill,
    SignerOrder,
    Sweep,
    Utxo,
    Wallet,
    Withdrawal,
)

O = TypeVar("O", Withdrawal, Refill, Sweep, Adjustment, SignerOrder)  # noqa: E741 - owner
M = TypeVar("M", bound=models.Model)

_CUSTOMER_LOCKS = 0x63757374  # the namespace of advisory locks on customers' withdrawals


def withdrawal(withdrawal_id: UUID, *, customer: UUID | None = None) -> Withdrawal:
    """The withdrawal with its request, locked; NotFound, also where it belongs to another customer."""
    return _owner(Withdrawal, withdrawal_id, "withdrawal", customer)


def refill(refill_id: UUID) -> Refill:
    """The refill with its request, locked; NotFound."""
    return _owner(Refill, refill_id, "refill", None)


def sweep(sweep_id: UUID) -> Sweep:
    """The sweep with its request, locked; NotFound."""
    return _owner(Sweep, sweep_id, "sweep", None)


def owner(row: Owner) -> Owner:
    """Whatever a transaction pays, likewise."""
    if isinstance(row, Withdrawal):
        return withdrawal(row.pk)
    return refill(row.pk) if isinstance(row, Refill) else sweep(row.pk)


def adjustment(adjustment_id: UUID) -> Adjustment:
    """The adjustment with its request, locked; NotFound."""
    return _owner(Adjustment, adjustment_id, "adjustment", None)


def signer_order(order_id: UUID) -> SignerOrder:
    """The order with its request, locked; NotFound."""
    return _owner(SignerOrder, order_id, "signerorder", None)


def payment(payment_id: UUID) -> Payment:
    """The payment, its owner locked before it; NotFound."""
    found = Payment.objects.select_related("withdrawal", "refill", "sweep").filter(pk=payment_id).first()
    if found is None:
        raise NotFound("There is no such payment.", target=f"custody.payment/{payment_id}")
    paid = owner(found.owner)
    row = (
        Payment.objects.select_for_update(no_key=True, of=("self",))
        .select_related("wallet")
        .get(pk=payment_id)
    )
    if isinstance(paid, Withdrawal):
        row.withdrawal = paid
    elif isinstance(paid, Refill):
        row.refill = paid
    else:
        row.sweep = paid
    return row


def wallet(wallet_id: UUID) -> Wallet:
    """The wallet, locked: one refill or sweep is decided on at a time."""
    return Wallet.objects.select_for_update(no_key=True).get(pk=wallet_id)


def deposit(deposit_id: UUID) -> Deposit:
    """The deposit, locked; NotFound."""
    row = (
        Deposit.objects.select_for_update(no_key=True, of=("self",))
        .select_related("address")
        .filter(pk=deposit_id)
        .first()
    )
    if row is None:
        raise NotFound("There is no such deposit.", target=f"custody.deposit/{deposit_id}")
    return row


def coins(outpoints: set[tuple[str, int]]) -> list[Utxo]:
    """The coins of these outpoints that are ours, locked in one order."""
    txids = {txid for txid, _ in outpoints}
    rows = Utxo.objects.select_for_update(no_key=True).filter(txid__in=txids).order_by("pk")
    return [row for row in rows if (row.txid, row.vout) in outpoints]


def free_address(wallet_row: Wallet) -> Address | None:
    """The next address that nobody owns, locked; index 0 is change and never given away."""
    return (
        Address.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(wallet=wallet_row, customer=None, index__gt=0)
        .order_by("index")
        .first()
    )


def customer_withdrawals(customer: UUID) -> None:
    """Until the action ends, nobody else reckons this customer's limit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_CUSTOMER_LOCKS, str(customer)])


def chain() -> None:
    """Until the action ends, nobody else reads blocks into the books."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_CUSTOMER_LOCKS + 1])


def _owner(model: type[O], identifier: UUID, noun: str, customer: UUID | None) -> O:
    target = f"custody.{noun}/{identifier}"
    request_id = model._default_manager.filter(pk=identifier).values_list("request_id", flat=True).first()
    if request_id is not None:
        approval_locks.request(request_id)
    row = model._default_manager.select_for_update(no_key=True, of=("self",)).filter(pk=identifier).first()
    if row is None or (customer is not None and getattr(row, "customer_id", None) != customer):
        raise NotFound(f"There is no such {noun}.", target=target)
    if row.request_id != request_id:
        raise Conflict(f"The {noun} moved on meanwhile; look at it again.", target=target)
    return row
