"""Raising the fee of a payment that no block takes: a further version of it is built, signed, and takes the
place of what the nodes have.

Every version spends the same coins and pays the same, so at most one is ever confirmed, whichever it is; the
database and each signer keep that by themselves. A version is never taken back: signatures of it may exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from core import audit, outbox
from core.action import action
from core.actor import Actor
from core.refusals import Refused
from custody import locks, queries
from custody.actions import announcing, entitled, signatures, versions
from custody.actions.payments import NotAsApproved, parsed
from custody.domain import raising
from custody.domain.payments import LATE, Step
from custody.events import Event, FeeRaised
from custody.models import (
    Payment,
    PaymentVersion,
    Refill,
    VersionRefusal,
    VersionSignature,
    Withdrawal,
)
from custody.permissions import Permission
from kernel.psbt import Psbt

WITHOUT: Final = {
    True: "It confirms when fees fall; whoever receives it can pay for it with a child.",
    False: "It confirms when fees fall.",
}
"""What becomes of a payment without it, where somebody else receives it or not."""


class FeeNotRaised(Refused):
    """No further version of this payment can be built, or none at this fee rate."""

    code = "payment.fee_not_raised"


@action(Event.PAYMENT_RAISED)
def raise_fee(
    *, payment_id: UUID, feerate: int, reason: str, actor: Actor, now: datetime, evicted: int = 0
) -> PaymentVersion:
    """A version of a payment that is signed and in no block, at `feerate` sats a vbyte; FeeNotRaised.

    While one is before the signers, asking again changes nothing. One that they refused is put before them
    again where the same fee comes out. Nothing is built under a freeze or a hold, nor where another payment
    of ours spends this one's change. `evicted` are the fees of all that would leave a node's memory with it.
    """
    target = f"custody.payment/{payment_id}"
    entitled.officer_or_machine(actor, Permission.RAISE_FEE, now=now, target=target)
    said = entitled.said(reason, target=target)
    row = locks.payment(payment_id)
    _check_raisable(row, now=now)
    for one in row.versions.filter(raw=""):
        if not queries.is_version_hopeless(one):
            return one
    try:
        built = queries.reckoned(row, feerate=feerate, evicted=evicted)
    except raising.NotRaisable as error:
        raise FeeNotRaised(f"Nothing was built: {error}.", target=target) from error
    newest = row.versions.order_by("-number").first() or _first(row)
    again = row.versions.filter(change_units=built.change).first()
    if again is not None:
        PaymentVersion.objects.filter(pk=again.pk).update(asked_at=now)
    version = again or PaymentVersion.objects.create(
        payment=row,
        number=newest.number + 1,
        txid=raising.build(Psbt.parse_base64(row.psbt), built.change).transaction.txid,
        fee_units=built.fee,
        vsize=built.vsize,
        change_units=built.change,
        reason=said,
        built_at=now,
        asked_at=now,
    )
    audit.record(
        Event.PAYMENT_RAISED,
        row,
        actor=actor,
        now=now,
        before={"txid": row.txid, "fee": row.fee},
        after={"version": version.number, "txid": version.txid, "fee": version.fee, "owner": row.owner},
        reason=said,
    )
    outbox.publish(FeeRaised(version=version.pk), now=now)
    return version


@action(Event.PAYMENT_SIGNATURE_STORED)
def store_version_signature(
    *, version_id: UUID, token: str, given: Sequence[Mapping[str, object]], actor: Actor, now: datetime
) -> PaymentVersion:
    """One token's signatures over all inputs of a version, checked as those of the first were."""
    version = _claimed(version_id)
    if version.signatures.filter(token=token).exists():
        return version
    signatures.merged(version.payment, queries.version_psbt(version), token, given)
    VersionSignature.objects.create(
        version=version, token=token, signatures=[dict(item) for item in given], received_at=now
    )
    audit.record(
        Event.PAYMENT_SIGNATURE_STORED,
        version.payment,
        actor=actor,
        now=now,
        after={"version": version.number, "token": token, "signed": version.signatures.count()},
    )
    return version


@action(Event.PAYMENT_REFUSED)
def report_version_refusal(
    *, version_id: UUID, token: str, code: str, detail: str, actor: Actor, now: datetime
) -> PaymentVersion:
    """That a signer said no to a version. The payment stands where it stood: its other versions are as good
    as before.
    """
    version = _claimed(version_id)
    if version.refusals.filter(token=token, code=code[:64], refused_at__gte=version.asked_at).exists():
        return version
    VersionRefusal.objects.create(
        version=version, token=token, code=code[:64], detail=detail[:500], refused_at=now
    )
    audit.record(
        Event.PAYMENT_REFUSED,
        version.payment,
        actor=actor,
        now=now,
        after={"version": version.number, "token": token, "code": code},
        reason=detail,
    )
    return version


@action(Event.PAYMENT_SIGNED)
def store_version_signed(*, version_id: UUID, raw: bytes, actor: Actor, now: datetime) -> PaymentVersion:
    """The complete version, stored before it is sent. The first one stays, as of every transaction."""
    version = _claimed(version_id)
    if version.raw:
        return version
    if parsed(raw).txid != version.txid:
        raise NotAsApproved(
            "Nothing was stored: this is another transaction.", target=f"custody.payment/{version.payment_id}"
        )
    _write(version, raw=raw.hex(), signed_at=now)
    audit.record(
        Event.PAYMENT_SIGNED,
        version.payment,
        actor=actor,
        now=now,
        after={
            "version": version.number,
            "txid": version.txid,
            "tokens": list(version.signatures.values_list("token", flat=True)),
        },
    )
    return version


@action(Event.PAYMENT_HANDED)
def mark_version_handed(*, version_id: UUID, actor: Actor, now: datetime) -> PaymentVersion:
    """Note that a node is about to be given a version: from here on the network may have it.

    Under a freeze or a hold, after a block, and where it is no longer the version to send, nothing changes.
    """
    version = _claimed(version_id)
    if version.handed_at is not None or not queries.is_version_sendable(version, now=now):
        return version
    _write(version, handed_at=now)
    audit.record(
        Event.PAYMENT_HANDED,
        version.payment,
        actor=actor,
        now=now,
        after={"version": version.number, "txid": version.txid},
    )
    return version


@action(Event.PAYMENT_REPLACED)
def report_replaced(*, version_id: UUID, actor: Actor, now: datetime) -> Payment:
    """That a node took a version in the place of the one before: from here on the payment is that one.

    Said twice, or after a block, it changes nothing that the block said.
    """
    version = _claimed(version_id)
    row, owner = version.payment, version.payment.owner
    if version.sent_at is not None or not version.raw or owner.state not in LATE:
        return row
    before = {"state": owner.state, "txid": row.txid, "fee": row.fee}
    _write(version, sent_at=now)
    versions.adopt(row, version)
    if owner.state == Step.SIGNED:
        owner.move_to(Step.BROADCAST)
        announcing.moved(owner, now=now)
    audit.record(
        Event.PAYMENT_REPLACED,
        row,
        actor=actor,
        now=now,
        before=before,
        after={"state": owner.state, "version": version.number, "txid": row.txid, "fee": row.fee},
    )
    return row


def _first(row: Payment) -> PaymentVersion:
    """The version that the payment has been so far."""
    return PaymentVersion.objects.create(
        payment=row,
        number=1,
        txid=row.txid,
        fee_units=row.fee_units,
        vsize=row.vsize,
        change_units=row.change_units,
        reason="as it was built",
        built_at=row.built_at,
        asked_at=row.asked_at or row.offered_at or row.built_at,
        raw=row.raw,
        signed_at=row.signed_at,
        handed_at=row.handed_at,
        sent_at=row.sent_at,
    )


def _check_raisable(row: Payment, *, now: datetime) -> None:
    """Nothing, if the payment is one that hot keys sign, waits for a block, and signers still sign for it."""
    owner, target = row.owner, f"custody.payment/{row.pk}"
    if isinstance(owner, Refill):
        raise FeeNotRaised(
            "Nothing was built: a refill is signed by cold keys, and its fee is not raised here.",
            target=target,
        )
    if owner.state not in LATE or not row.raw:
        raise FeeNotRaised(f"Nothing was built: {owner} is {owner.state}.", target=target)
    queries.check_stops(owner, now=now)
    until = queries.signable_until(row)
    if until <= now:
        raise FeeNotRaised(
            f"Nothing was built: its approval ended at {until:%Y-%m-%d %H:%M} UTC, and signers sign nothing "
            f"for it any more. {WITHOUT[isinstance(owner, Withdrawal)]}",
            target=target,
        )
    if queries.claimed_version(row):
        raise FeeNotRaised(
            "Nothing was built: another payment of ours spends the change of this one, and could never be "
            "paid if another version of it were confirmed.",
            target=target,
        )


def _claimed(version_id: UUID) -> PaymentVersion:
    """The version, its payment and that one's owner locked."""
    row = locks.payment(queries.version(version_id).payment_id)
    version: PaymentVersion = row.versions.get(pk=version_id)
    version.payment = row
    return version


def _write(version: PaymentVersion, **changes: object) -> None:
    PaymentVersion.objects.filter(pk=version.pk).update(**changes)
    for name, value in changes.items():
        setattr(version, name, value)
