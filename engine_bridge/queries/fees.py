"""What accounts pay: their own to traders, everybody's to officers, and where the engine differs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from core import access
from core.access.models import Identity
from core.refusals import NotFound
from engine_bridge.domain.fees import STANDARD, Rates, rates
from engine_bridge.models import AccountFees, EngineAccount, Instrument, ToldFees
from engine_bridge.permissions import Permission

SHOWN_MAX: Final = 500
LATE: Final = timedelta(minutes=1)
"""So long the engine may take to take up what was approved, before somebody should look."""

_OPEN: Final = """
    SELECT coalesce(f.account_id, t.account_id), f.account_id IS NULL OR f.confirmed_at IS NOT NULL,
           f.maker_ppm, f.taker_ppm, t.maker_ppm, t.taker_ppm
    FROM engine_account_fees f FULL JOIN engine_told_fees t ON t.account_id = f.account_id
    WHERE f.account_id IS NOT NULL AND f.confirmed_at IS NULL
       OR f.maker_ppm IS DISTINCT FROM t.maker_ppm OR f.taker_ppm IS DISTINCT FROM t.taker_ppm
    ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class OpenFees:
    """An account of which engine and approval are not known to agree. `is_settled`: they did before."""

    account: int
    is_settled: bool
    wanted: Rates | None
    told: Rates | None


@dataclass(frozen=True, slots=True)
class FeesView:
    """One line of the officers' screen: what was approved, and what the engine takes as far as settled."""

    row: AccountFees
    customer: UUID | None
    told: Rates | None

    @property
    def is_awaited(self) -> bool:
        """Whether the engine is not known to take it yet."""
        return self.row.own != self.told


@dataclass(frozen=True, slots=True)
class OwnFees:
    """What a trader pays: their level, and their own rates where they have some."""

    level: str
    own: Rates | None

    def maker_ppm(self, market: Instrument) -> int:
        return self.own.maker_ppm if self.own else market.maker_fee_bps * 100

    def taker_ppm(self, market: Instrument) -> int:
        return self.own.taker_ppm if self.own else market.taker_fee_bps * 100


def fees_open() -> list[OpenFees]:
    """Every account whose fees are still to be told, to be confirmed, or are others in the engine."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN)
        return [
            OpenFees(account, is_settled, rates(*pair[:2]), rates(*pair[2:]))
            for account, is_settled, *pair in cursor.fetchall()
        ]


def fees_late(*, now: datetime) -> int:
    """How many accounts' fees were approved a while ago, and the engine is not known to take them."""
    return AccountFees.objects.filter(confirmed_at=None, decided_at__lt=now - LATE).count()


def own_fees(account: EngineAccount | None) -> OwnFees:
    """What the account pays by now: what was approved, once the engine took it, and before that what it
    takes.
    """
    row = AccountFees.objects.filter(pk=account.pk).first() if account else None
    if account is None or row is None:
        return OwnFees(STANDARD, None)
    if row.confirmed_at is not None:
        return OwnFees(row.level, row.own)
    told = ToldFees.objects.filter(pk=account.pk).first()
    own = told.own if told else None
    return OwnFees(row.level if own == row.own else STANDARD, own)


def fees_of(customer_id: UUID) -> OwnFees:
    """The same of a customer, for officers who see them."""
    return own_fees(EngineAccount.objects.filter(identity_id=customer_id).first())


def fees_for(officer: Identity | None, *, now: datetime) -> list[FeesView]:
    """The accounts about whose fees officers decided last; NotFound for who may not see markets."""
    if not access.allowed(officer, Permission.SEE_MARKETS, now):
        raise NotFound("There is no such page.")
    rows = list(AccountFees.objects.order_by("-decided_at", "-pk")[:SHOWN_MAX])
    numbers = [row.pk for row in rows]
    told = {row.account_id: row.own for row in ToldFees.objects.filter(pk__in=numbers)}
    whose = dict(EngineAccount.objects.filter(pk__in=numbers).values_list("pk", "identity_id"))
    return [FeesView(row, whose.get(row.pk), told.get(row.pk)) for row in rows]
