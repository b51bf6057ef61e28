"""Reads of wallets, refills and adjustments, for the treasury desk."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from core.access import rights
from core.access.models import Identity
from core.refusals import NotFound, Refused
from custody.domain import deposits, limits, refills, sweeps, wallets
from custody.domain.limits import Quote
from custody.domain.wallets import Overflow, Targets
from custody.models import (
    Address,
    Adjustment,
    Deposit,
    PaymentPolicy,
    Price,
    Refill,
    Sweep,
    Utxo,
    UtxoLock,
    Wallet,
)
from custody.permissions import Permission
from custody.queries.deposits import tip_height
from custody.queries.withdrawals import promised_units
from kernel.money import Amount
from kernel.policy import Fact

MATURITY: Final = 100
"""Blocks before freshly mined coins can be spent, by consensus."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One wallet at the tip: all its coins, those that can be chosen now, those that transactions of ours
    claim, and what of it is on its way to cold.
    """

    wallet: Wallet
    total: Amount
    free: Amount
    locked: Amount
    unconfirmed: Amount
    share_bps: int
    refill_below: Amount | None
    target: Amount | None
    sweep_above: Amount | None
    leaving: Amount

    @property
    def is_low(self) -> bool:
        """Whether a hot wallet stands below its threshold."""
        return self.refill_below is not None and self.total < self.refill_below

    @property
    def is_full(self) -> bool:
        """Whether more can be chosen now than should lie in a hot wallet."""
        return self.sweep_above is not None and self.free > self.sweep_above


def standings(*, identity: Identity | None, now: datetime) -> list[Standing]:
    """Every wallet against its target, hot first, for an officer who may see the treasury; else none."""
    if not rights.allowed(identity, Permission.SEE_TREASURY, now):
        return []
    return all_standings()


def all_standings() -> list[Standing]:
    """The same for our own machines."""
    rows = list(Wallet.objects.order_by("-tier", "name"))
    totals = {row.pk: _sum(_unspent(row)) for row in rows}
    shares = wallets.shares({row.name: totals[row.pk] for row in rows})
    return [_standing(row, totals[row.pk], shares[row.name]) for row in rows]


def wallet_named(name: str) -> Wallet:
    """The wallet; NotFound."""
    row = Wallet.objects.filter(name=name).first()
    if row is None:
        raise NotFound("There is no such wallet.", target=f"custody.wallet/{name}")
    return row


class NoPolicy(Refused):
    """No registry that was loaded says who must approve this, so nobody can."""

    code = "custody.no_policy"


def policy(kind: str) -> PaymentPolicy:
    """Who must approve payments of a kind; NoPolicy."""
    row = PaymentPolicy.objects.filter(kind=kind).first()
    if row is None:
        raise NoPolicy(
            "Nothing was asked: no registry names the people who must approve this. Treasury can load one."
        )
    return row


def free_coins(wallet: Wallet) -> QuerySet[Utxo]:
    """Confirmed, unspent and unclaimed coins.

    What somebody sent counts once it is booked: a payment that spends a deposit of one block is void with it,
    and whoever sent it chooses the moment.
    """
    mature = Q(coinbase=False) | Q(height__lte=tip_height() - MATURITY + 1)
    claimed = UtxoLock.objects.filter(released_at=None).values("utxo")
    arriving = Deposit.objects.filter(state=deposits.State.SEEN).values("coin")
    free = _unspent(wallet).filter(mature, height__isnull=False)
    return free.exclude(pk__in=claimed).exclude(pk__in=arriving)


def free_units(wallet: Wallet, *, total: int | None = None) -> int:
    """What those come to: all that is unspent, read from its index, without the few that are not free."""
    unspent = _unspent(wallet).order_by()
    young = unspent.filter(coinbase=True, height__gt=tip_height() - MATURITY + 1)
    claimed = UtxoLock.objects.order_by().filter(released_at=None, utxo__wallet=wallet).values("utxo")
    seen = Deposit.objects.order_by().filter(state=deposits.State.SEEN, coin__wallet=wallet)
    waiting = unspent.filter(height=None).values("pk").union(young.values("pk"), claimed, seen.values("coin"))
    return (_sum(unspent) if total is None else total) - _sum(unspent.filter(pk__in=waiting))


def marks_of(wallet: Wallet) -> Targets:
    """Below what a hot wallet is filled up by now, and how far: treasury's marks, within the band of what may
    be hot of all coins in blocks without those that withdrawals will take.
    """
    return wallets.in_band(*_marks_and_whole(wallet))


def overflow_of(wallet: Wallet) -> Overflow:
    """Above what a hot wallet is swept by now, and how far down, by the same marks and band."""
    return wallets.overflow(*_marks_and_whole(wallet))


def _marks_and_whole(wallet: Wallet) -> tuple[Targets, Amount]:
    held = Utxo.objects.filter(wallet__asset=wallet.asset, spent_in=None, height__isnull=False)
    whole = Amount(_sum(held) - promised_units(wallet.asset), wallet.asset)
    return Targets(Amount(wallet.refill_below, wallet.asset), Amount(wallet.target, wallet.asset)), whole


def leaving_units(wallet: Wallet) -> int:
    """What sweeps take out of the hot wallet that no block has yet: its coins are all still counted."""
    rows = Sweep.objects.filter(source=wallet, state__in=[str(state) for state in sweeps.LEAVING])
    return int(rows.aggregate(total=Sum("units"))["total"] or 0)


def refill_need(wallet: Wallet, cold: Wallet, *, claimed: int = 0) -> Amount | None:
    """How much the hot wallet should be filled up by now, or None; `claimed` units of cold are set aside for
    it already. What a sweep takes away is not there any more.
    """
    if wallet.target == 0:
        return None
    return refills.amount_to_propose(
        hot=Amount(_sum(_unspent(wallet)) - leaving_units(wallet), wallet.asset),
        promised=Amount(promised_units(wallet.asset), wallet.asset),
        marks=marks_of(wallet),
        cold=Amount(free_units(cold) + claimed, cold.asset),
    )


def refills_for(
    *, identity: Identity | None, now: datetime, states: Collection[refills.State] = ()
) -> QuerySet[Refill]:
    """Refills, newest first, for an officer who may see the treasury; none for everybody else. Slice it."""
    rows = Refill.objects.select_related("source", "target", "maker", "request", "payment__wallet").order_by(
        "-proposed_at", "-id"
    )
    if not rights.allowed(identity, Permission.SEE_TREASURY, now):
        return rows.none()
    return rows.filter(state__in=[str(state) for state in states]) if states else rows


def refill_for(refill_id: UUID, *, identity: Identity | None, now: datetime) -> Refill:
    """One refill, for an officer who may see the treasury; NotFound for everybody else."""
    row = refills_for(identity=identity, now=now).filter(pk=refill_id).first()
    if row is None:
        raise NotFound("There is no such refill.", target=f"custody.refill/{refill_id}")
    return row


def refill(refill_id: UUID) -> Refill:
    """One refill, for our own machines; NotFound."""
    row = Refill.objects.select_related("source", "target", "request").filter(pk=refill_id).first()
    if row is None:
        raise NotFound("There is no such refill.", target=f"custody.refill/{refill_id}")
    return row


def refill_pairs() -> list[tuple[Wallet, Wallet]]:
    """Each hot wallet with the cold one that fills it."""
    colds = {row.asset: row for row in Wallet.objects.filter(tier="cold").order_by("-name")}
    hots = Wallet.objects.filter(tier="hot", target__gt=0).order_by("name")
    return [(hot, colds[hot.asset]) for hot in hots if hot.asset in colds]


def change_script(wallet: Wallet) -> bytes:
    """Where the wallet's change goes: its own address 0."""
    return bytes.fromhex(Address.objects.values_list("script", flat=True).get(wallet=wallet, index=0))


def live_refill(target: Wallet) -> Refill | None:
    """The refill that is under way into this wallet, if any."""
    live = [str(state) for state in refills.LIVE]
    return Refill.objects.filter(target=target, state__in=live).first()


def adjustments_for(*, identity: Identity | None, now: datetime) -> QuerySet[Adjustment]:
    """Adjustments, newest first, for an officer who may propose or approve them; none for everybody else."""
    rows = Adjustment.objects.select_related("customer__identity", "maker", "request").order_by(
        "-requested_at", "-id"
    )
    held = rights.powers(identity, now)
    readers = {
        str(Permission.PROPOSE_ADJUSTMENT),
        str(Permission.APPROVE_ADJUSTMENT),
        str(Permission.SEE_TREASURY),
    }
    return rows if held & readers else rows.none()


def adjustment_for(adjustment_id: UUID, *, identity: Identity | None, now: datetime) -> Adjustment:
    """One adjustment, likewise; NotFound for everybody else."""
    row = adjustments_for(identity=identity, now=now).filter(pk=adjustment_id).first()
    if row is None:
        raise NotFound("There is no such adjustment.", target=f"custody.adjustment/{adjustment_id}")
    return row


def latest_price(asset: str, *, now: datetime) -> Price | None:
    """The newest quote of an asset, however old: whoever uses it judges its age. One from the future, which a
    clock that was ahead has left, is none: it would hide every quote until its moment comes.
    """
    rows = Price.objects.filter(asset=asset, quoted_at__lte=now + limits.PRICE_AHEAD_MAX)
    return rows.order_by("-quoted_at", "-fetched_at").first()


def latest_quote(asset: str, *, now: datetime) -> Quote | None:
    """The same as a value for reckoning."""
    row = latest_price(asset, now=now)
    return None if row is None else Quote(row.asset, row.cents, row.quoted_at)


def facts_of(amount: Amount, *, now: datetime) -> dict[str, Fact]:
    """What the policy asks of an amount: asset, units, and US cents where a fresh price can say them."""
    try:
        cents: int | None = limits.value(amount, latest_quote(amount.asset, now=now), now=now)
    except limits.NoPrice:
        cents = None
    return {"asset": amount.asset, "amount": amount.units, "usd_cents": cents}


def _standing(row: Wallet, total: int, share_bps: int) -> Standing:
    free = free_units(row, total=total)
    unconfirmed = _sum(_unspent(row).filter(height=None))
    marks = marks_of(row) if row.target else None
    upper = overflow_of(row) if row.target else None
    return Standing(
        wallet=row,
        total=Amount(total, row.asset),
        free=Amount(free, row.asset),
        locked=Amount(total - free - unconfirmed, row.asset),
        unconfirmed=Amount(unconfirmed, row.asset),
        share_bps=share_bps,
        refill_below=marks.refill_below if marks else None,
        target=marks.target if marks else None,
        sweep_above=upper.above if upper else None,
        leaving=Amount(leaving_units(row), row.asset),
    )


def _unspent(wallet: Wallet) -> QuerySet[Utxo]:
    return Utxo.objects.filter(wallet=wallet, spent_in=None)


def _sum(rows: QuerySet[Utxo]) -> int:
    return int(rows.aggregate(total=Sum("units"))["total"] or 0)
