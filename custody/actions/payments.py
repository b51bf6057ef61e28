"""A transaction of ours on its way: built, put before the signers, signed, sent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from core import approvals, audit, freezes, outbox
from core.action import action
from core.actor import Actor
from core.refusals import Conflict, Refused
from custody import locks, queries
from custody.actions import withdrawals
from custody.domain import coins
from custody.domain.payments import Step
from custody.domain.withdrawals import State
from custody.events import Event, RefillMoved, SignatureStored
from custody.models import (
    Address,
    Payment,
    Refill,
    TokenRefusal,
    TokenSignature,
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


class BadSignatures(Refused):
    """The signatures are not this token's, or not over this transaction."""

    code = "payment.bad_signatures"
    status = 422


@action(Event.PAYMENT_BUILT)
def store_built(*, owner: Withdrawal | Refill, psbt: str, vsize: int, actor: Actor, now: datetime) -> Payment:
    """The transaction of an approved withdrawal or refill, with its coins claimed and its approval used up,
    at once.

    A second one for the same owner changes nothing; a coin that another payment claims is CoinTaken. What is
    stored pays exactly what was approved and the rest to ourselves, whoever built it.
    """
    row = locks.withdrawal(owner.pk) if isinstance(owner, Withdrawal) else locks.refill(owner.pk)
    existing = queries.payment_of(row)
    if existing is not None:
        return existing
    wallet = queries.wallet_named(queries.source_of(row))
    freezes.check(f"wallet:{wallet.name}", f"asset:{row.asset}")
    if isinstance(row, Withdrawal):
        freezes.check(*withdrawals.stops(row))
    built = _checked(row, wallet, psbt)
    before = row.state
    row.move_to(Step.BUILT)
    approvals.consume(queries.request_of(row), now=now)
    payment = Payment.objects.create(
        wallet=wallet,
        withdrawal=row if isinstance(row, Withdrawal) else None,
        refill=row if isinstance(row, Refill) else None,
        txid=built.txid,
        psbt=psbt,
        fee_units=built.fee,
        vsize=vsize,
        change_units=built.change,
        built_at=now,
    )
    _claim(payment, built, now=now)
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
    announce(row, now=now)
    return payment


@action(Event.PAYMENT_ASKED)
def mark_asked(*, payment_id: UUID, actor: Actor, now: datetime) -> Payment:
    """Note that signers are about to be asked: from here on a signature may exist that we have not seen.

    Also the way on after a refusal. A payment that is already being signed stays as it is.
    """
    row = locks.payment(payment_id)
    owner = row.owner
    if not isinstance(owner, Withdrawal):
        raise NotAsApproved(
            "Nothing was asked: cold signers are asked by bundle.", target=f"custody.payment/{row.pk}"
        )
    if owner.state == State.SIGNING:
        return row
    freezes.check(*withdrawals.stops(owner))
    before = owner.state
    owner.move_to(State.SIGNING)
    _update(row, asked_at=now)
    audit.record(
        Event.PAYMENT_ASKED, row, actor=actor, now=now, before={"state": before}, after={"state": owner.state}
    )
    announce(owner, now=now)
    return row


@action(Event.PAYMENT_SIGNATURE_STORED)
def store_signature(
    *, payment_id: UUID, token: str, signatures: list[dict[str, object]], actor: Actor, now: datetime
) -> Payment:
    """One token's signatures over all inputs, each checked against that token's own key and this transaction.

    The same token again changes nothing; later than needed is no error.
    """
    row = locks.payment(payment_id)
    if row.signatures.filter(token=token).exists():
        return row
    merge(row, token, signatures)
    TokenSignature.objects.create(payment=row, token=token, signatures=signatures, received_at=now)
    audit.record(
        Event.PAYMENT_SIGNATURE_STORED,
        row,
        actor=actor,
        now=now,
        after={"token": token, "signed": row.signatures.count(), "threshold": row.wallet.threshold},
    )
    outbox.publish(SignatureStored(payment=row.pk, token=token), now=now)
    return row


@action(Event.PAYMENT_REFUSED)
def report_refusal(
    *, payment_id: UUID, token: str, code: str, detail: str, actor: Actor, now: datetime
) -> Payment:
    """That a signer said no, with its own code. Once too few could still say yes, the withdrawal is
    refused.
    """
    row = locks.payment(payment_id)
    TokenRefusal.objects.create(payment=row, token=token, code=code[:64], detail=detail[:500], refused_at=now)
    owner, before = row.owner, row.owner.state
    refused = set(row.refusals.filter(refused_at__gte=row.asked_at or now).values_list("token", flat=True))
    refused -= set(row.signatures.values_list("token", flat=True))
    hopeless = len(row.wallet.tokens) - len(refused) < row.wallet.threshold
    if hopeless and isinstance(owner, Withdrawal) and owner.state == State.SIGNING:
        owner.move_to(State.REFUSED, reason=f"{token}: {code}"[:500])
    audit.record(
        Event.PAYMENT_REFUSED,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": owner.state, "token": token, "code": code},
        reason=detail,
    )
    announce(owner, now=now)
    return row


@action(Event.PAYMENT_SIGNED)
def store_signed(*, payment_id: UUID, raw: bytes, actor: Actor, now: datetime) -> Payment:
    """The complete transaction, stored before it is sent. The first one stays: another quorum's changes
    nothing.
    """
    row = locks.payment(payment_id)
    if row.raw:
        return row
    if _parsed(raw).txid != row.txid:
        raise NotAsApproved(
            "Nothing was stored: this is another transaction.", target=f"custody.payment/{row.pk}"
        )
    owner, before = row.owner, row.owner.state
    owner.move_to(Step.SIGNED)
    _update(row, raw=raw.hex(), signed_at=now)
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
    announce(owner, now=now)
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
    _update(row, sent_at=now)
    audit.record(
        Event.PAYMENT_BROADCAST,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": owner.state, "txid": row.txid},
    )
    announce(owner, now=now)
    return row


def merge(row: Payment, token: str, signatures: list[dict[str, object]]) -> Psbt:
    """The payment's PSBT with one token's signatures in it; BadSignatures where one is missing, foreign or
    wrong.
    """
    target = f"custody.payment/{row.pk}"
    base = Psbt.parse_base64(row.psbt)
    if token not in row.wallet.tokens:
        raise BadSignatures("Nothing was stored: no such token belongs to this wallet.", target=target)
    place = row.wallet.tokens.index(token)
    own = dict(Address.objects.filter(wallet=row.wallet).values_list("witness_script", "keys"))
    expected = {index: own[spend.witness_script.hex()][place] for index, spend in enumerate(base.spends)}
    try:
        given = {
            int(str(item["input"])): (str(item["public_key"]), str(item["signature"])) for item in signatures
        }
        if len(signatures) != len(expected) or {index: key for index, (key, _) in given.items()} != expected:
            raise BadSignatures(
                "Nothing was stored: not one signature of this token per input.", target=target
            )
        return base.with_signatures(
            (index, bytes.fromhex(key), bytes.fromhex(signature)) for index, (key, signature) in given.items()
        )
    except (KeyError, ValueError) as error:
        raise BadSignatures(f"Nothing was stored: {error}.", target=target) from error


def announce(owner: Withdrawal | Refill, *, now: datetime) -> None:
    """Tell whoever moves it on."""
    if isinstance(owner, Withdrawal):
        withdrawals.announce(owner, now=now)
    else:
        outbox.publish(RefillMoved(refill=owner.pk, state=str(owner.state)), now=now)


def _checked(row: Withdrawal | Refill, wallet: Wallet, psbt: str) -> coins.Built:
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


def _claim(payment: Payment, built: coins.Built, *, now: datetime) -> None:
    """Lock the coins; all are ours, confirmed, unspent, and free."""
    wanted = {(outpoint.txid, outpoint.index) for outpoint in built.outpoints}
    rows = locks.coins(wanted)
    usable = [
        coin
        for coin in rows
        if coin.wallet_id == payment.wallet_id and coin.height is not None and coin.spent_in is None
    ]
    if len(usable) != len(wanted):
        raise CoinTaken(
            "Nothing was built: a coin is not free any more.", target=f"custody.payment/{payment.txid}"
        )
    try:
        with transaction.atomic():
            UtxoLock.objects.bulk_create(
                UtxoLock(utxo=coin, payment=payment, locked_at=now) for coin in usable
            )
    except IntegrityError as error:
        raise CoinTaken(
            "Nothing was built: another payment claims a coin.", target=f"custody.payment/{payment.txid}"
        ) from error


def _parsed(raw: bytes) -> Transaction:
    try:
        return Transaction.parse(raw)
    except BadTransaction as error:
        raise NotAsApproved(f"Nothing was stored: {error}.") from error


def _update(row: Payment, **changes: object) -> None:
    Payment.objects.filter(pk=row.pk).update(**changes)
    for name, value in changes.items():
        setattr(row, name, value)
