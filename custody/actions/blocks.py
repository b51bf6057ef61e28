"""Reading blocks into the books, and taking them back out after a reorganisation.

The block itself is the cursor: it is stored in the transaction that books what it holds, so a watcher that
dies
anywhere reads nothing twice and skips nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from core import audit, freezes, outbox
from core.action import action
from core.actor import Actor
from core.freezes.domain import scopes
from core.refusals import Conflict
from custody import locks, queries
from custody.actions import announcing, versions
from custody.domain import chain, deposits
from custody.domain.chain import SeenBlock
from custody.domain.payments import Step
from custody.events import BlockRead, Event
from custody.models import Address, Block, Deposit, Payment, Utxo, UtxoLock


class OutOfPlace(Conflict):
    """The blocks do not stand on what was read; look at the node's chain again."""

    code = "chain.out_of_place"


@action(Event.BLOCK_READ)
def read_blocks(*, blocks: Sequence[SeenBlock], actor: Actor, now: datetime) -> list[str]:
    """Book consecutive blocks: coins, deposits seen, payments confirmed. Says what concerned us, in words.

    A coin of ours that is spent by a transaction which is not ours freezes its wallet at once.
    """
    locks.chain()
    tip = queries.tip()
    height, tip_hash = (tip.height, tip.hash) if tip else (-1, None)
    found: list[str] = []
    for block in blocks:
        try:
            chain.connects(block, tip_height=height, tip_hash=tip_hash)
        except chain.DoesNotConnect as error:
            raise OutOfPlace(f"Nothing was booked: {error}.") from error
        Block.objects.create(height=block.height, hash=block.hash, previous=block.previous, read_at=now)
        found += _book(block, actor=actor, now=now)
        height, tip_hash = block.height, block.hash
    audit.record(
        Event.BLOCK_READ,
        f"custody.block/{height}",
        actor=actor,
        now=now,
        after={"first": blocks[0].height, "last": height, "hash": tip_hash or "", "found": found},
    )
    outbox.publish(BlockRead(height=height, hash=tip_hash or ""), now=now)
    return found


@action(Event.BLOCK_UNWOUND)
def unwind_block(*, block_hash: str, actor: Actor, now: datetime) -> None:
    """Take the highest block back: its coins wait for another block, what it spent is unspent again.

    Deposits that were credited become `missing`: they stay in the ledger, and the customer is frozen, until
    an officer has looked.
    """
    locks.chain()
    tip = queries.tip()
    if tip is None or tip.hash != block_hash:
        raise OutOfPlace("Nothing was taken back: this is not the highest block that was read.")
    gone = list(Deposit.objects.select_for_update(no_key=True).filter(height=tip.height).order_by("pk"))
    for deposit in gone:
        deposit.move_to(deposits.after_loss(deposits.State(deposit.state)), height=None)
        if deposit.state == deposits.State.MISSING and deposit.customer_id is not None:
            reason = f"Deposit {deposit.pk} was credited and then left the chain."
            freezes.pull(scopes.customer(deposit.customer_id), reason=reason, actor=actor, now=now)
    lost = [f"{deposit} is {deposit.state}" for deposit in gone]
    left = list(Payment.objects.filter(height=tip.height).order_by("pk").values_list("pk", flat=True))
    lost += [_unconfirm(payment_id, actor=actor, now=now) for payment_id in left]
    Utxo.objects.filter(spent_in=tip.height).update(spent_in=None, spent_by="")
    Utxo.objects.filter(height=tip.height).update(height=None)
    for payment_id in left:  # by now nobody can claim coins of this block any more
        versions.after_loss(locks.payment(payment_id))
    Block.objects.filter(height=tip.height).delete()
    audit.record(
        Event.BLOCK_UNWOUND,
        f"custody.block/{tip.height}",
        actor=actor,
        now=now,
        before={"hash": tip.hash},
        after={"lost": lost},
    )
    outbox.publish(BlockRead(height=tip.height - 1, hash=tip.previous), now=now)


def _book(block: SeenBlock, *, actor: Actor, now: datetime) -> list[str]:
    ours = queries.payments_in(block.txids)
    found = [_receive(block, item, item.outpoint.txid in ours, now=now) for item in block.received]
    found += _spend(block, ours, actor=actor, now=now)
    found += [
        _confirm(txid, payment_id, block.height, actor=actor, now=now)
        for txid, payment_id in sorted(ours.items())
    ]
    return found


def _receive(block: SeenBlock, item: chain.Received, is_ours: bool, *, now: datetime) -> str:
    """A coin appears, or returns; one that no payment of ours explains is a deposit."""
    address = Address.objects.select_related("wallet").get(script=item.script)
    coin, _ = Utxo.objects.update_or_create(
        txid=item.outpoint.txid,
        vout=item.outpoint.index,
        defaults={"height": block.height},
        create_defaults={
            "wallet": address.wallet,
            "address": address,
            "units": item.sats,
            "coinbase": item.coinbase,
            "height": block.height,
        },
    )
    if is_ours:
        return f"{coin} returns to {address.wallet}"
    deposit, made = Deposit.objects.get_or_create(
        coin=coin,
        defaults={
            "address": address,
            "customer_id": address.customer_id,
            "asset": address.wallet.asset,
            "units": coin.units,
            "txid": coin.txid,
            "vout": coin.vout,
            "height": block.height,
            "seen_at": now,
        },
    )
    if not made:
        back = deposits.after_return(
            was_booked=deposit.state == deposits.State.MISSING, has_customer=deposit.customer_id is not None
        )
        deposit.move_to(back, height=block.height)
    return f"{deposit} is {deposit.state}"


def _spend(block: SeenBlock, ours: Mapping[str, UUID], *, actor: Actor, now: datetime) -> list[str]:
    """Coins go. By a payment of ours, in any version: as planned. By anything else: somebody has our keys."""
    found = []
    for coin in locks.coins({(outpoint.txid, outpoint.index) for outpoint in block.spent}):
        by = next(
            txid
            for outpoint, txid in block.spent.items()
            if (outpoint.txid, outpoint.index) == (coin.txid, coin.vout)
        )
        Utxo.objects.filter(pk=coin.pk).update(spent_in=block.height, spent_by=by)
        # Claims that were let go of count as well: a lapsed sweep can be confirmed, and leave the chain.
        claims = UtxoLock.objects.select_related("payment").filter(utxo=coin, payment__abandoned_at=None)
        lost = [claim.payment for claim in claims.order_by("pk") if ours.get(by) != claim.payment_id]
        found += [_conflict(payment, by, actor=actor, now=now) for payment in lost]
        if by not in ours:
            freezes.pull(
                f"wallet:{coin.wallet.name}",
                reason=f"Coin {coin} left by {by}, which is no payment of ours.",
                actor=actor,
                now=now,
            )
            found.append(f"{coin} left by a foreign transaction: wallet frozen")
    return found


def _confirm(txid: str, payment_id: UUID, height: int, *, actor: Actor, now: datetime) -> str:
    """A transaction of ours is in a block, whether or not we heard that it was sent. Of a payment whose fee
    was raised it may be any version: from here on the payment is that one.
    """
    row = locks.payment(payment_id)
    Payment.objects.filter(pk=row.pk).update(height=height)
    versions.confirm(row, txid)
    for lost in versions.void_others(row, txid, height=height):
        _conflict(lost, txid, actor=actor, now=now)
    owner, before = row.owner, row.owner.state
    if not owner.may_become(Step.CONFIRMED):
        return f"{row} is in block {height} again, {before}"
    owner.move_to(Step.CONFIRMED)
    audit.record(
        Event.PAYMENT_CONFIRMED,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": owner.state, "height": height, "txid": txid},
    )
    announcing.moved(owner, now=now)
    return f"{row} is confirmed"


def _unconfirm(payment_id: UUID, *, actor: Actor, now: datetime) -> str:
    row = locks.payment(payment_id)
    Payment.objects.filter(pk=row.pk).update(height=None)
    owner, before = row.owner, row.owner.state
    if before == Step.CONFIRMED:
        owner.move_to(Step.BROADCAST)
    audit.record(
        Event.PAYMENT_REORGANISED,
        row,
        actor=actor,
        now=now,
        before={"state": before, "height": row.height},
        after={"state": owner.state},
    )
    announcing.moved(owner, now=now)
    return f"{row} left the chain"


def _conflict(payment: Payment, rival: str, *, actor: Actor, now: datetime) -> str:
    """A coin that a payment claims was spent by another transaction: that payment cannot confirm beside
    it.
    """
    row = locks.payment(payment.pk)
    owner, before = row.owner, row.owner.state
    if before in (Step.SIGNED, Step.BROADCAST):
        owner.move_to(Step.CONFLICTED, reason=f"spent by {rival}")
        audit.record(
            Event.PAYMENT_CONFLICTED,
            row,
            actor=actor,
            now=now,
            before={"state": before},
            after={"state": owner.state, "rival": rival},
        )
        announcing.moved(owner, now=now)
    return f"{row} has a rival"
