"""Reads of sweeps, and of how much of the hot wallet one is due."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import F, QuerySet

from core.access import rights
from core.access.models import Identity
from core.refusals import NotFound
from custody.domain import deposits, refills, sweeps
from custody.domain.coins import Coin
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.models import Owner, PaymentPolicy, Refill, Sweep, UtxoLock, Wallet
from custody.permissions import Permission
from custody.queries.deposits import tip_height
from custody.queries.treasury import free_units, overflow_of, refill_pairs
from custody.queries.withdrawals import promised_units
from kernel import intent
from kernel.money import Amount
from kernel.transaction import Outpoint


def sweep_due(hot: Wallet, *, claimed: int = 0) -> Amount | None:
    """How much should go back to cold by now, or None; `claimed` units of hot are set aside for it already.

    None as well while a refill is on its way: two people would have asked for both.
    """
    if hot.target == 0 or refill_coming(hot):
        return None
    free = free_units(hot)
    return sweeps.amount_to_propose(
        free=Amount(free + claimed, hot.asset),
        promised=Amount(promised_units(hot.asset), hot.asset),
        marks=overflow_of(hot),
    )


def refill_coming(hot: Wallet) -> bool:
    """Whether somebody asked for a refill that has not arrived: a mere proposal brings nothing."""
    coming = [str(state) for state in refills.LIVE - {refills.State.PROPOSED}]
    return Refill.objects.filter(target=hot, state__in=coming).exists()


def choosable(free: Collection[Coin], owner: Owner, wallet: Wallet) -> tuple[list[Coin], frozenset[Outpoint]]:
    """Of these free coins of the wallet those that this may take, and of them those that it must: a sweep
    leaves some (`sweeps.spendable`), and shares one with each that lapsed (`sweeps.shared`).
    """
    if not isinstance(owner, Sweep):
        return list(free), frozenset()
    usable = sweeps.spendable(list(free), promised=promised_units(wallet.asset))
    return usable, sweeps.shared(usable, _lapsed(wallet))


def _lapsed(hot: Wallet) -> list[frozenset[Outpoint]]:
    """The coins of each lapsed sweep that a block could still have: none of them is spent."""
    rows = UtxoLock.objects.filter(payment__sweep__state=sweeps.State.LAPSED, payment__wallet=hot)
    found: dict[UUID, set[Outpoint]] = {}
    for payment, txid, vout in rows.values_list("payment", "utxo__txid", "utxo__vout"):
        found.setdefault(payment, set()).add(Outpoint(txid, vout))
    over = set(rows.exclude(utxo__spent_in=None).values_list("payment", flat=True))
    return [frozenset(coins) for payment, coins in found.items() if payment not in over]


def sweep_pairs() -> list[tuple[Wallet, Wallet]]:
    """Each hot wallet with the cold one that fills it; none where no registry says who approves a sweep."""
    return refill_pairs() if PaymentPolicy.objects.filter(kind=intent.SWEEP).exists() else []


def live_sweep(source: Wallet) -> Sweep | None:
    """The sweep that is under way out of this wallet, if any."""
    return Sweep.objects.filter(source=source, state__in=[str(state) for state in sweeps.LIVE]).first()


def sweeps_for(
    *, identity: Identity | None, now: datetime, states: Collection[sweeps.State] = ()
) -> QuerySet[Sweep]:
    """Sweeps, newest first, for an officer who may see the treasury; none for everybody else. Slice it."""
    rows = Sweep.objects.select_related("source", "target", "maker", "request", "payment__wallet").order_by(
        "-proposed_at", "-id"
    )
    if not rights.allowed(identity, Permission.SEE_TREASURY, now):
        return rows.none()
    return rows.filter(state__in=[str(state) for state in states]) if states else rows


def sweep_for(sweep_id: UUID, *, identity: Identity | None, now: datetime) -> Sweep:
    """One sweep, for an officer who may see the treasury; NotFound for everybody else."""
    return _found(sweeps_for(identity=identity, now=now), sweep_id)


def sweep(sweep_id: UUID) -> Sweep:
    """One sweep, for our own machines; NotFound."""
    return _found(Sweep.objects.select_related("source", "target", "request"), sweep_id)


def endable_sweeps(*, network: str, now: datetime) -> list[UUID]:
    """Sweeps that can pay nothing any more: built, and put before no signer while their approval was good; or
    with a coin that another transaction spent for good, so that of those that lapsed no signature matters.
    """
    built = Sweep.objects.filter(state=sweeps.State.BUILT, expires_at__lte=now)
    deep = tip_height() - deposits.depth_needed(network) + 1
    overtaken = [sweeps.State.CONFLICTED, sweeps.State.LAPSED]
    spent = UtxoLock.objects.filter(payment__sweep__state__in=overtaken, utxo__spent_in__lte=deep)
    lost = spent.exclude(utxo__spent_by=F("payment__txid")).values_list("payment__sweep", flat=True)
    return [*built.values_list("pk", flat=True), *lost.distinct()]


def lapsing_sweeps(*, now: datetime) -> list[UUID]:
    """Sweeps before signers whose intent no signer honours any more, by any clock."""
    asked = [sweeps.State.SIGNING, sweeps.State.REFUSED]
    rows = Sweep.objects.filter(state__in=asked, expires_at__lte=now - CLOCKS_DIFFER_MAX)
    return list(rows.values_list("pk", flat=True))


def _found(rows: QuerySet[Sweep], sweep_id: UUID) -> Sweep:
    row = rows.filter(pk=sweep_id).first()
    if row is None:
        raise NotFound("There is no such sweep.", target=f"custody.sweep/{sweep_id}")
    return row
