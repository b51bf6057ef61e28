"""Accounts and their balances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from core.ledger.kinds import AccountKind, side
from core.ledger.models import Account
from kernel import money
from kernel.money import Amount


@dataclass(frozen=True, slots=True)
class Balance:
    """`posted` is all there is, `held` the part reserved, `available` the rest."""

    posted: Amount
    held: Amount
    available: Amount


def account(kind: AccountKind, asset: str, owner: UUID | None = None) -> Account:
    """The account of that kind, asset and owner; made when first asked for."""
    money.asset(asset)
    found, _ = Account.objects.get_or_create(kind=AccountKind(kind), asset=asset, owner=owner)
    return found


def balance(row: Account) -> Balance:
    """The account's balance as of now, read from the database."""
    units, held = Account.objects.values_list("units", "held").get(pk=row.pk)
    posted = side(row.kind) * units
    return Balance(Amount(posted, row.asset), Amount(held, row.asset), Amount(posted - held, row.asset))


def locked(rows: Iterable[Account]) -> dict[UUID, Account]:
    """The rows again, locked in the one order that all writers use, so that two writers cannot deadlock."""
    wanted = sorted({row.pk for row in rows})
    return {row.pk: row for row in Account.objects.select_for_update().filter(pk__in=wanted).order_by("pk")}
