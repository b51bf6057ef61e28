"""A transaction of ours on its way: built, put before the signers, signed, sent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings

from core import approvals, audit
from core.action import action
from core.actor import Actor
from core.refusals import Conflict, Refused
from custody import locks, queries
from custody.actions import announcing, withdrawals
from custody.domain import coins
from custody.domain.payments import Step
from custody.events import Event
from custody.models import (
    Address,
    Owner,
    Payment,
    Refill,
    Sweep,
    Utxo,
    UtxoLock,
    Wallet,
    Withdrawal,
)
from kernel import psbt as psbts
from kernel import script
from kernel.psbt import Psbt
from kernel.transaction import BadTransaction, Output, Transaction


class CoinTaken(Conflict):
    """Another payment was faster with one of these coins: choose again."""

    code = "payment.coin_taken"


class NotAsApproved(Refused):
    """The transaction does something else than what was approved; nothing of it is stored."""

    code = "payment.not_as_approved"


@action(Event.PAYMENT_BUILT)
def store_built(*, owner: Owner, psbt: str, vsize: int, actor: Actor, now: datetime) -> Payment:
    """The transaction of an approved withdrawal, refill or sweep, with its coins claimed and its approval
    used up, at once; or that of a withdrawal which is offered to the signers' lane, where there is none.

    A second one for the same owner changes nothing; a coin that another payment claims is CoinTaken. What is
    stored pays exactly what was approved and the rest to ourselves, whoever built it. What the lane refused
    and officers then approved is paid by the very transaction that the lane saw: it may be half signed.
    """
    row = locks.owner(owner)
    existing = queries.payment_of(row)
    if existing is not None and row.state != withdrawals.State.APPROVED:
        return existing
    wallet = queries.wallet_named(queries.source_of(row))
    queries.check_stops(row, now=now)
    built = _checked(row, wallet, psbt if existing is None else existing.psbt)
    claimed = _claimable(wallet, built) if existing is None else []
    before = row.state
    if before != withdrawals.State.OFFERED:
        row.move_to(Step.BUILT)
        approvals.consume(queries.request_of(row), now=now)
    payment = existing or Payment.objects.create(
        wallet=wallet,
        withdrawal=row if isinstance(row, Withdrawal) else None,
        refill=row if isinstance(row, Refill) else None,
        sweep=row if isinstance(row, Sweep) else None,
        txid=built.txid,
        psbt=psbt,
        fee_units=built.fee,
        vsize=vsize,
        change_units=built.change,
        built_at=now,
    )
    UtxoLock.objects.bulk_create(UtxoLock(utxo=coin, payment=payment, locked_at=now) for coin in claimed)
    audit.record(
        Event.PAYMENT_BUILT,
        payment,
        actor=actor,
        now=now,
        before={"state": before},
        after={
            "state": row.state,
            "owner": row,
            "txid": built.txid,
            "coins": [str(o) for o in built.outpoints],
        }
        | {"fee": payment.fee, "change": built.change},
    )
    announcing.moved(row, now=now)
    return payment


@action(Event.PAYMENT_SIGNED)
def store_signed(*, payment_id: UUID, raw: bytes, actor: Actor, now: datetime) -> Payment:
    """The complete transaction, stored before it is sent. The first one stays: another quorum's changes
    nothing. A block may have given one of its coins to another transaction before: then that one is its
    rival from here on, since no block will say so again.
    """
    row = locks.payment(payment_id)
    if row.raw:
        return row
    if parsed(raw).txid != row.txid:
        raise NotAsApproved(
            "Nothing was stored: this is another transaction.", target=f"custody.payment/{row.pk}"
        )
    owner, before, rival = row.owner, row.owner.state, queries.rival_of(row)
    owner.move_to(Step.SIGNED)
    if rival:
        owner.move_to(Step.CONFLICTED, reason=f"spent by {rival}")
    update(row, raw=raw.hex(), signed_at=now)
    audit.record(
        Event.PAYMENT_SIGNED,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={
            "state": owner.state,
            "txid": row.txid,
            "tokens": list(row.signatures.values_list("token", flat=True)),
        },
    )
    announcing.moved(owner, now=now)
    return row


@action(Event.PAYMENT_HANDED)
def mark_handed(*, payment_id: UUID, actor: Actor, now: datetime) -> Payment:
    """Note that a node is about to be given the stored bytes: from here on the network may have them.

    Under a freeze or a hold that covers it, and for what was handed over before, nothing changes.
    """
    row = locks.payment(payment_id)
    if row.handed_at is not None or not row.raw or queries.stopped(row, now=now):
        return row
    update(row, handed_at=now)
    audit.record(
        Event.PAYMENT_HANDED, row, actor=actor, now=now, after={"state": row.owner.state, "txid": row.txid}
    )
    return row


@action(Event.PAYMENT_BROADCAST)
def report_broadcast(*, payment_id: UUID, actor: Actor, now: datetime) -> Payment:
    """That a node took the stored bytes. Said twice, or after the block, it changes nothing."""
    row = locks.payment(payment_id)
    owner = row.owner
    if owner.state != Step.SIGNED:
        return row
    before = owner.state
    owner.move_to(Step.BROADCAST)
    update(row, sent_at=now)
    audit.record(
        Event.PAYMENT_BROADCAST,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": owner.state, "txid": row.txid},
    )
    announcing.moved(owner, now=now)
    return row


def _checked(row: Owner, wallet: Wallet, psbt: str) -> coins.Built:
    change = Address.objects.values_list("script", flat=True).get(wallet=wallet, index=0)
    pays = Output(row.units, script.script_of(row.destination, settings.NETWORK))
    try:
        return coins.check(
            Psbt.parse_base64(psbt), pays=pays, change=bytes.fromhex(change), fee_cap=row.fee_cap_units
        )
    except (coins.NotOurPayment, psbts.BadPsbt) as error:
        raise NotAsApproved(
            f"Nothing was built: {error}.", target=f"{row._meta.label_lower}/{row.pk}"
        ) from error


def _claimable(wallet: Wallet, built: coins.Built) -> list[Utxo]:
    """The transaction's coins, locked; CoinTaken unless all are the wallet's, confirmed, unspent and
    unclaimed.

    Looked at before the payment is stored: two equal orders over the same coin are the very same transaction.
    """
    wanted = {(outpoint.txid, outpoint.index) for outpoint in built.outpoints}
    found = locks.coins(wanted)
    free = set(queries.free_coins(wallet).filter(pk__in=[coin.pk for coin in found]))
    if len(free) != len(wanted):
        raise CoinTaken(
            "Nothing was built: a coin is not free any more.", target=f"custody.wallet/{wallet.pk}"
        )
    return found


def parsed(raw: bytes) -> Transaction:
    """The transaction; NotAsApproved where the bytes are none."""
    try:
        return Transaction.parse(raw)
    except BadTransaction as error:
        raise NotAsApproved(f"Nothing was stored: {error}.") from error


def update(row: Payment, **changes: object) -> None:
    Payment.objects.filter(pk=row.pk).update(**changes)
    for name, value in changes.items():
        setattr(row, name, value)
