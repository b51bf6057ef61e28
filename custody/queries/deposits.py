"""Reads of deposits, deposit addresses and the chain as far as it was read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Max, QuerySet

from core.access import rights
from core.access.models import Identity
from core.refusals import NotFound
from custody.domain import deposits
from custody.domain.deposits import State
from custody.models import Address, Block, Deposit, Payment, PaymentVersion, Utxo
from custody.permissions import Permission
from kernel.transaction import Outpoint


def deposit_address_of(customer: UUID) -> Address | None:
    """The customer's deposit address, if one was assigned."""
    return Address.objects.select_related("wallet").filter(customer_id=customer).first()


def deposits_of(
    customer: UUID,
    *,
    asset: str | None = None,
    states: Collection[State] = (),
    txid: str | None = None,
    after: datetime | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> list[Deposit]:
    """A customer's own deposits, newest first; `after` and `before` bound the time seen, exclusive."""
    rows = Deposit.objects.select_related("address").filter(customer_id=customer)
    if asset is not None:
        rows = rows.filter(asset=asset)
    if states:
        rows = rows.filter(state__in=[str(state) for state in states])
    if txid is not None:
        rows = rows.filter(txid=txid)
    if after is not None:
        rows = rows.filter(seen_at__gt=after)
    if before is not None:
        rows = rows.filter(seen_at__lt=before)
    return list(rows.order_by("-seen_at", "-id")[:limit])


def confirmations_of(row: Deposit) -> int:
    """Blocks on the deposit at the tip that was read, its own included."""
    return deposits.confirmations(row.height, tip_height())


def deposits_for(
    *, identity: Identity | None, now: datetime, states: Collection[State] = ()
) -> QuerySet[Deposit]:
    """Deposits, newest first, for an officer who may see the treasury; none for everybody else. Slice it."""
    rows = Deposit.objects.select_related("address__wallet", "customer__identity").order_by("-seen_at", "-id")
    if not rights.allowed(identity, Permission.SEE_TREASURY, now):
        return rows.none()
    return rows.filter(state__in=[str(state) for state in states]) if states else rows


def deposit_for(deposit_id: UUID, *, identity: Identity | None, now: datetime) -> Deposit:
    """One deposit, for an officer who may see the treasury; NotFound for everybody else."""
    row = deposits_for(identity=identity, now=now).filter(pk=deposit_id).first()
    if row is None:
        raise NotFound("There is no such deposit.", target=f"custody.deposit/{deposit_id}")
    return row


def tip() -> Block | None:
    """The highest block that was read."""
    return Block.objects.order_by("-height").first()


def tip_height() -> int:
    """Its height; -1 before the first block."""
    highest = Block.objects.aggregate(height=Max("height"))["height"]
    return -1 if highest is None else int(highest)


def known_scripts(scripts: Collection[str]) -> set[str]:
    """Which of these scripts (hex) are ours."""
    return set(Address.objects.filter(script__in=scripts).values_list("script", flat=True))


def deposits_due(*, network: str) -> list[UUID]:
    """Deposits that are deep enough at the tip and stand in no ledger entry yet, oldest first."""
    deep = tip_height() - deposits.depth_needed(network) + 1
    return list(
        Deposit.objects.filter(state=State.SEEN, height__lte=deep)
        .order_by("height", "id")
        .values_list("pk", flat=True)[:500]
    )


def known_coins(outpoints: Collection[Outpoint]) -> set[Outpoint]:
    """Which of these are coins of ours."""
    txids = {outpoint.txid for outpoint in outpoints}
    rows = Utxo.objects.filter(txid__in=txids).values_list("txid", "vout")
    return {Outpoint(txid, vout) for txid, vout in rows} & set(outpoints)


def payments_in(txids: Collection[str]) -> dict[str, UUID]:
    """Which of these transactions are ours, in any version."""
    versions = PaymentVersion.objects.filter(txid__in=txids, payment__abandoned_at=None)
    return {
        **dict(versions.values_list("txid", "payment")),
        **dict(Payment.objects.filter(txid__in=txids, abandoned_at=None).values_list("txid", "pk")),
    }
