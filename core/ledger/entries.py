"""Posting journal entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from core import action
from core.ledger import accounts
from core.ledger.kinds import NEVER_NEGATIVE
from core.ledger.models import Account, JournalEntry, Posting
from core.refusals import Refused
from kernel.money import Amount


class InsufficientFunds(Refused):
    """An account would fall below what is held on it."""

    code: ClassVar[str] = "ledger.insufficient_funds"


class Unbalanced(ValueError):
    """The legs do not sum to zero for every asset: a fault in the caller."""


class ReferenceReused(ValueError):
    """The same kind and reference came with other legs: a fault in the caller."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of an entry. A positive amount raises what the account's owner is owed."""

    account: Account
    amount: Amount


def post(kind: str, reference: str, legs: Sequence[Leg], *, now: datetime) -> JournalEntry:
    """Write a balanced entry in the open action. The same (kind, reference) again gives the first entry."""
    action.current()
    _check(legs)
    rows = accounts.locked(leg.account for leg in legs)
    entry, made = JournalEntry.objects.get_or_create(
        kind=kind, reference=reference, defaults={"posted_at": now}
    )
    if not made:
        _same_legs(entry, legs)
        return entry
    totals: defaultdict[Account, int] = defaultdict(int)
    for leg in legs:
        totals[rows[leg.account.pk]] += leg.amount.units
    for row, change in totals.items():
        if row.kind in NEVER_NEGATIVE and change < 0 and row.units + change < row.held:
            short = Amount(row.held - row.units - change, row.asset)
            raise InsufficientFunds(
                f"Nothing was moved: the account is short of {short} {row.asset}. Deposit that much first."
            )
    Posting.objects.bulk_create(
        Posting(entry=entry, account_id=leg.account.pk, asset=leg.amount.asset, units=leg.amount.units)
        for leg in legs
    )
    return entry


def _check(legs: Sequence[Leg]) -> None:
    sums: defaultdict[str, int] = defaultdict(int)
    for leg in legs:
        if leg.account.asset != leg.amount.asset:
            raise Unbalanced(f"{leg.amount.asset} cannot be posted to {leg.account}")
        sums[leg.amount.asset] += leg.amount.units
    if not legs or any(sums.values()):
        raise Unbalanced(f"legs do not sum to zero: {dict(sums)}")


def _same_legs(entry: JournalEntry, legs: Sequence[Leg]) -> None:
    stored = sorted((posting.account_id, posting.units) for posting in entry.postings.all())
    if stored != sorted((leg.account.pk, leg.amount.units) for leg in legs):
        raise ReferenceReused(f"{entry.kind} {entry.reference} was posted with other legs")
