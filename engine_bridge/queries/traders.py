"""A trader's own rows: balances, orders, fills, transfers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from engine_bridge.domain.commands import client_mark
from engine_bridge.models import (
    EngineAccount,
    Fill,
    Order,
    TradingBalance,
    Transfer,
)
from kernel.money import Amount

OPEN_STATES: Final = ("live", "partially_filled")
POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class TradingBalanceView:
    """A trading balance as money."""

    total: Amount
    held: Amount
    updated_at: datetime

    @property
    def available(self) -> Amount:
        return self.total - self.held


def account_of(customer_id: UUID) -> EngineAccount | None:
    """The customer's engine account, if they have one."""
    return EngineAccount.objects.filter(identity_id=customer_id).first()


def trading_balances(account: EngineAccount | None) -> list[TradingBalanceView]:
    """The account's balances, by asset."""
    rows = TradingBalance.objects.filter(account=account).order_by("asset") if account else ()
    return [
        TradingBalanceView(Amount(row.units, row.asset), Amount(row.held, row.asset), row.updated_at)
        for row in rows
    ]


def order(account: EngineAccount | None, *, order_id: int | None = None, client_id: str = "") -> Order | None:
    """One of the account's own orders, by number or by the client's latest use of a name."""
    rows = Order.objects.select_related("instrument").filter(account=account)
    if account is None:
        return None
    if order_id is not None:
        return rows.filter(pk=order_id).first()
    return rows.filter(client_mark=client_mark(account.pk, client_id)).order_by("-pk").first()


def latest_named(account: EngineAccount, names: Iterable[str]) -> dict[str, Order]:
    """The account's latest use of each of these names, of those that it has used."""
    marks = {client_mark(account.pk, name): name for name in names}
    if not marks:
        return {}
    rows = Order.objects.filter(account=account, client_mark__in=marks)
    latest = rows.order_by("client_mark", "-pk").distinct("client_mark")
    return {marks[row.client_mark]: row for row in latest}


def orders(account: EngineAccount | None, *, is_open: bool | None = None) -> QuerySet[Order]:
    """The account's orders, newest first: all, the open ones, or those that are done."""
    rows = Order.objects.select_related("instrument").order_by("-pk")
    rows = rows.filter(account=account) if account else rows.none()
    if is_open is None:
        return rows
    return rows.filter(state__in=OPEN_STATES) if is_open else rows.exclude(state__in=OPEN_STATES)


def fills(account: EngineAccount | None) -> QuerySet[Fill]:
    """The account's fills, newest first."""
    rows = Fill.objects.select_related("instrument", "order").order_by("-pk")
    return rows.filter(account=account) if account else rows.none()


def transfer(account: EngineAccount | None, transfer_id: UUID) -> Transfer | None:
    """One of the account's own transfers."""
    return Transfer.objects.filter(account=account, pk=transfer_id).first() if account else None


def wait_for_transfer(transfer_id: UUID, *, timeout_s: float) -> Transfer:
    """The transfer once it is closed, or as it stands when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        row = Transfer.objects.get(pk=transfer_id)
        # Inside a transaction nobody else's commit can be waited for.
        if row.state != "pending" or time.monotonic() >= deadline or connection.in_atomic_block:
            return row
        time.sleep(POLL_S)
