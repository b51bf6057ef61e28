"""What all accounts come to, by asset and kind: a piece of them at a time, and what was booked since."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from django.db import connection, models
from django.db.models import Max, Min

from core.ledger import AccountKind, since
from core.ledger.kinds import NEVER_NEGATIVE
from core.ledger.models import Account

HOUSE: Final = sorted(kind.value for kind in AccountKind if kind not in NEVER_NEGATIVE)

Kind: TypeAlias = tuple[str, str]
"""Asset and kind of account."""


class Sum(NamedTuple):
    """What accounts come to, and the least and the greatest of them."""

    units: int
    low: int
    high: int


class Piece(NamedTuple):
    """The accounts behind a place, so many, up to another; None where there were none."""

    sums: dict[Kind, Sum]
    place: UUID | None


class Booked(NamedTuple):
    """What came to accounts since a mark: in all, and to those up to a place."""

    moved: dict[Kind, int]
    counted: dict[Kind, int]
    until: since.Mark
    whole: bool


# OFFSET 0 keeps a look into an index from becoming a join that reads a table whole.
_BOOKED: Final = """
    SELECT p.asset, a.kind, sum(p.units), coalesce(sum(p.units) FILTER (WHERE p.account_id <= %(place)s), 0)
      FROM ledger_posting p
     CROSS JOIN LATERAL (SELECT kind FROM ledger_account WHERE id = p.account_id OFFSET 0) a
     WHERE NEW GROUP BY 1, 2""".replace("NEW", since.NEW)
_PIECE: Final = """
    WITH piece AS MATERIALIZED (
      SELECT id, asset, kind, units FROM ledger_account WHERE id > %(place)s ORDER BY id LIMIT %(most)s)
    SELECT asset, kind, sum(units), min(units), max(units), (SELECT id FROM piece ORDER BY id DESC LIMIT 1)
      FROM piece GROUP BY 1, 2"""


def of_the_house() -> dict[Kind, Sum]:
    """Of accounts that are nobody's there is one for each asset and kind: what each comes to now."""
    rows = Account.objects.filter(kind__in=HOUSE).values_list("asset", "kind", "units")
    return {(asset, kind): Sum(int(units), int(units), int(units)) for asset, kind, units in rows}


def of_all() -> dict[Kind, Sum]:
    """Every account read at once."""
    rows = Account.objects.order_by().values_list("asset", "kind")
    sums = rows.annotate(total=models.Sum("units"), low=Min("units"), high=Max("units"))
    return {(asset, kind): Sum(int(units), int(low), int(high)) for asset, kind, units, low, high in sums}


def booked_since(mark: since.Mark, *, place: UUID) -> Booked | None:
    """In the open transaction; None where the mark is of another server's history."""
    span = since.span(mark)
    if span.until.history != mark.history:
        return None
    rows = since.rows(_BOOKED, {"place": place, **span.parameters})
    moved = {(asset, kind): int(units) for asset, kind, units, _ in rows}
    counted = {(asset, kind): int(units) for asset, kind, _, units in rows}
    return Booked(moved, counted, span.until, span.whole)


def accounts_after(place: UUID, *, most: int) -> Piece:
    """In the open transaction."""
    rows = _rows(_PIECE, {"place": place, "most": most})
    sums = {(asset, kind): Sum(int(units), int(low), int(high)) for asset, kind, units, low, high, _ in rows}
    return Piece(sums, rows[0][-1] if rows else None)


def _rows(sql: str, named: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, named)
        return cursor.fetchall()
