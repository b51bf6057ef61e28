"""Rows claimed for a write, in the order in which all writers claim them: cursor, transfers, balances,
ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import F

from core.copying import Among
from engine_bridge.models import AccountFees, EngineCursor, Instrument, TradingBalance, Transfer

SHARD = 1


def cursor(shard: int = SHARD) -> EngineCursor:
    """Settlement's cursor, locked; made when first asked for."""
    row = EngineCursor.objects.select_for_update().filter(shard=shard).first()
    if row is None:
        EngineCursor.objects.get_or_create(shard=shard)
        row = EngineCursor.objects.select_for_update().get(shard=shard)
    return row


def transfers(ids: Iterable[UUID]) -> dict[UUID, Transfer]:
    """The transfers, locked."""
    wanted = set(ids)
    if not wanted:
        return {}
    rows = Transfer.objects.select_for_update(of=("self",)).select_related("account").filter(pk__in=wanted)
    return {row.pk: row for row in rows.order_by("pk")}


def balances(accounts: Iterable[int]) -> dict[tuple[int, str], tuple[int, int]]:
    """Units and held of all trading balances of these accounts, locked."""
    rows = TradingBalance.objects.select_for_update().filter(Among(F("account_id"), accounts)).order_by("pk")
    return {
        (account, asset): (units, held)
        for account, asset, units, held in rows.values_list("account_id", "asset", "units", "held")
    }


def fees(account: int, *, now: datetime) -> AccountFees:
    """What an account is to pay, locked; made with the market's own fees when first asked for."""
    AccountFees.objects.get_or_create(account_id=account, defaults={"decided_at": now})
    return AccountFees.objects.select_for_update().get(account_id=account)


def instrument(symbol: str) -> Instrument | None:
    """The market, locked."""
    return Instrument.objects.select_for_update().filter(symbol=symbol).first()
