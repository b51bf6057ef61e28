"""Accounts and their balances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from django.db.models import F, Q

from core.copying import Among
from core.ledger.kinds import AccountKind, side
from core.ledger.models import Account
from kernel import money
from kernel.money import Amount

Key: TypeAlias = tuple[AccountKind, str, UUID | None]
"""Kind, asset and owner: what an account is found by."""


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


def lock(ids: Iterable[UUID]) -> None:
    """Lock the accounts, in the one order that all writers use, so that two writers cannot deadlock."""
    rows = Account.objects.select_for_update().filter(Among(F("pk"), ids)).order_by("pk")
    list(rows.values_list("pk"))


def found(wanted: Iterable[Key]) -> dict[Key, UUID]:
    """The ids of the accounts, all looked up at once; those that nobody asked for before are made."""
    keys = set(wanted)
    rows = Account.objects.filter(
        kind__in={kind for kind, _, _ in keys}, asset__in={asset for _, asset, _ in keys}
    ).filter(Q(owner=None) | Q(Among(F("owner"), {owner for _, _, owner in keys if owner is not None})))
    # A kind equals its text, and hashes as it does.
    known = {tuple(key): number for number, *key in rows.values_list("pk", "kind", "asset", "owner")}
    return {key: known[key] if key in known else account(*key).pk for key in keys}
