"""What a refill or a sweep leaves in the hot wallet, as chain and books say it before a block has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Sum

from core.approvals.models import ApprovalRequest
from custody.domain import refills, sweeps, wallets
from custody.models import Refill, Sweep, Utxo, Wallet
from custody.queries.payments import payment_of
from custody.queries.treasury import free_coins, marks_of
from custody.queries.withdrawals import promised_units
from kernel import intent
from kernel.money import Amount

AHEAD: Final = {
    Refill: refills.LIVE - {refills.State.CONFIRMED, refills.State.CONFLICTED},
    Sweep: sweeps.LIVE - {sweeps.State.CONFIRMED, sweeps.State.CONFLICTED},
}
"""States in which no block has it, so that its coins are counted where they come from."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The hot wallet now and once a block has the move: all its coins, and their share of all coins in basis
    points. `left` can be spent then beside what withdrawals wait for (`promised`), and is below zero where
    they would have to wait; `is_low` says that a refill would be due.
    """

    now: Amount
    after: Amount
    now_bps: int
    after_bps: int
    promised: Amount
    left: int
    is_low: bool

    @property
    def spare(self) -> Amount:
        """What is left, without its sign."""
        return Amount(abs(self.left), self.now.asset)


def outlook(row: Refill | Sweep) -> Outlook | None:
    """What it comes to; None once a block has it, or where it is over. Its fee is the highest that it can be
    until its transaction is built.
    """
    if row.state not in AHEAD[type(row)]:
        return None
    hot, cold = (row.source, row.target) if isinstance(row, Sweep) else (row.target, row.source)
    payment = payment_of(row)
    fee = payment.fee_units if payment else row.fee_cap_units
    held = {each.pk: _sum(each) for each in Wallet.objects.filter(asset=row.asset)}
    moved = -(row.units + fee) if isinstance(row, Sweep) else row.units
    taken = row.units if isinstance(row, Sweep) else -(row.units + fee)
    after = held | {hot.pk: held[hot.pk] + moved, cold.pk: held[cold.pk] + taken}
    free = int(free_coins(hot).aggregate(total=Sum("units"))["total"] or 0)
    promised = promised_units(row.asset)
    # A sweep's coins are claimed once it is built, and its change comes back with the block.
    claimed = row.units + fee + payment.change_units if payment and isinstance(row, Sweep) else 0
    left = free + claimed + moved - promised
    return Outlook(
        now=Amount(held[hot.pk], row.asset),
        after=Amount(max(after[hot.pk], 0), row.asset),
        now_bps=_share(held)[str(hot.pk)],
        after_bps=_share(after)[str(hot.pk)],
        promised=Amount(promised, row.asset),
        left=left,
        is_low=after[hot.pk] < marks_of(hot).refill_below.units,
    )


def _share(held: dict[UUID, int]) -> dict[str, int]:
    return dict(wallets.shares({str(key): max(units, 0) for key, units in held.items()}))


def _sum(wallet: Wallet) -> int:
    rows = Utxo.objects.filter(wallet=wallet, spent_in=None)
    return int(rows.aggregate(total=Sum("units"))["total"] or 0)


def outlook_of(request: ApprovalRequest) -> Outlook | None:
    """The same for whoever is to answer; None for what moves nothing between wallets of ours."""
    rows: dict[str, Any] = {intent.REFILL: Refill.objects, intent.SWEEP: Sweep.objects}
    if request.kind not in rows:
        return None
    found = rows[request.kind].select_related("source", "target").filter(request=request)
    row: Refill | Sweep | None = found.first()
    return None if row is None else outlook(row)
