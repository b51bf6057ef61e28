"""What the chain has made final goes into the ledger: deposits are booked, payments settled, each once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings

from core import audit, ledger, outbox
from core.action import action
from core.actor import Actor
from core.ledger import AccountKind, Leg
from core.refusals import Conflict
from custody import locks, queries
from custody.actions import announcing
from custody.domain import deposits
from custody.domain.deposits import State
from custody.domain.payments import Step
from custody.events import DepositBooked, Event
from custody.models import Deposit, Payment, Refill, Sweep, Wallet, Withdrawal
from kernel.money import Amount


class NotDeepEnough(Conflict):
    """Too few blocks stand on it yet; nothing was booked."""

    code = "chain.not_deep_enough"


@action(Event.DEPOSIT_BOOKED)
def book_deposit(*, deposit_id: UUID, actor: Actor, now: datetime) -> Deposit:
    """A deposit that is deep enough, in the ledger: for its customer, or in suspense where nobody owns the
    address.

    Booking it again changes nothing.
    """
    row = locks.deposit(deposit_id)
    if row.state != State.SEEN:
        return row
    _check_depth(row.height, f"custody.deposit/{row.pk}")
    row.move_to(deposits.booked(has_customer=row.customer_id is not None), credited_at=now)
    owed = (
        ledger.account(AccountKind.CUSTOMER_FUNDING, row.asset, row.customer_id)
        if row.customer_id is not None
        else ledger.account(AccountKind.SUSPENSE, row.asset)
    )
    wallet = ledger.account(holding(row.address.wallet), row.asset)
    ledger.post("custody.deposit", str(row.pk), [Leg(owed, row.amount), Leg(wallet, -row.amount)], now=now)
    audit.record(
        Event.DEPOSIT_BOOKED,
        row,
        actor=actor,
        now=now,
        before={"state": State.SEEN},
        after={"state": row.state, "amount": row.amount, "customer": row.customer_id},
    )
    outbox.publish(DepositBooked(deposit=row.pk, customer=row.customer_id), now=now)
    return row


@action(Event.PAYMENT_SETTLED)
def settle_payment(*, payment_id: UUID, actor: Actor, now: datetime) -> Payment:
    """A payment that is deep enough, in the ledger: the customer's hold is posted, the network's fee is ours.

    Settling it again changes nothing.
    """
    row = locks.payment(payment_id)
    owner = row.owner
    if owner.state == Step.SETTLED:
        return row
    _check_depth(row.height, f"custody.payment/{row.pk}")
    before = owner.state
    owner.move_to(Step.SETTLED, settled_at=now)
    if isinstance(owner, Withdrawal):
        _post_withdrawal(owner, row, now=now)
    else:
        _post_move(owner, row, now=now)
    row.versions.filter(txid=row.txid).update(booked_at=now)
    audit.record(
        Event.PAYMENT_SETTLED,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={
            "state": owner.state,
            "owner": owner,
            "amount": owner.amount,
            "network_fee": row.fee,
            "txid": row.txid,
        },
    )
    announcing.moved(owner, now=now)
    return row


@action(Event.PAYMENT_FEE_CORRECTED)
def correct_fee(*, payment_id: UUID, actor: Actor, now: datetime) -> Payment:
    """The fee of a settled payment of which a reorganisation confirmed another version, in the ledger: what
    the network took is that version's. Where the ledger knows it already, nothing changes.
    """
    row = locks.payment(payment_id)
    booked = row.versions.filter(booked_at__isnull=False).first()
    if row.owner.state != Step.SETTLED or booked is None or booked.txid == row.txid:
        return row
    _check_depth(row.height, f"custody.payment/{row.pk}")
    more = Amount(row.fee_units - booked.fee_units, row.wallet.asset)
    legs = [
        Leg(ledger.account(holding(row.wallet), more.asset), more),
        Leg(ledger.account(AccountKind.NETWORK_FEES, more.asset), -more),
    ]
    ledger.post("custody.fee_corrected", f"{row.pk}/{row.txid}/{row.height}", legs, now=now)
    row.versions.filter(pk=booked.pk).update(booked_at=None)
    row.versions.filter(txid=row.txid).update(booked_at=now)
    audit.record(
        Event.PAYMENT_FEE_CORRECTED,
        row,
        actor=actor,
        now=now,
        before={"network_fee": Amount(booked.fee_units, more.asset), "txid": booked.txid},
        after={"network_fee": row.fee, "txid": row.txid},
    )
    return row


def holding(wallet: Wallet) -> AccountKind:
    """The account of the coins in a wallet."""
    return AccountKind.HOT_WALLET if wallet.tier == "hot" else AccountKind.COLD_WALLET


def _post_withdrawal(owner: Withdrawal, payment: Payment, *, now: datetime) -> None:
    """The customer pays amount and fixed fee; the wallet loses amount and network fee."""
    asset = owner.asset
    legs = [
        Leg(
            ledger.account(AccountKind.CUSTOMER_FUNDING, asset, owner.customer_id),
            -(owner.amount + owner.fee),
        ),
        Leg(ledger.account(holding(payment.wallet), asset), owner.amount + payment.fee),
        Leg(ledger.account(AccountKind.NETWORK_FEES, asset), -payment.fee),
    ]
    if owner.fee.units:
        legs.append(Leg(ledger.account(AccountKind.WITHDRAWAL_FEES, asset), owner.fee))
    ledger.post_hold(owner.hold_reference, "custody.withdrawal", str(owner.pk), legs, now=now)


def _post_move(owner: Refill | Sweep, payment: Payment, *, now: datetime) -> None:
    """Coins change wallets; the network's fee is ours."""
    asset = owner.asset
    legs = [
        Leg(ledger.account(holding(owner.target), asset), -owner.amount),
        Leg(ledger.account(holding(owner.source), asset), owner.amount + payment.fee),
        Leg(ledger.account(AccountKind.NETWORK_FEES, asset), Amount(-payment.fee_units, asset)),
    ]
    kind = "custody.refill" if isinstance(owner, Refill) else "custody.sweep"
    ledger.post(kind, str(owner.pk), legs, now=now)


def _check_depth(height: int | None, target: str) -> None:
    if not deposits.is_final(height, queries.tip_height(), settings.NETWORK):
        raise NotDeepEnough("Nothing was booked: too few blocks stand on it yet.", target=target)
