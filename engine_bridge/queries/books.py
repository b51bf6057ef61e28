"""What the ledger holds at the venue, a piece at a time, and what came into it since it was last read.

A piece is read in one statement, hence at one moment, with settlement's event as of it. While the mirrors
are being rebuilt that is the one that they had reached, since the postings stayed. Account 0 is the venue's
own and holds its fees; -1 is somebody whom the engine does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from core.ledger import AccountKind, since
from engine_bridge.domain import assets
from engine_bridge.domain.movements import RETURNED, Flows, Movements
from engine_bridge.locks import SHARD

UNKNOWN: Final = -1
FIRST: Final = UUID(int=0)

_SETTLED: Final = (
    "coalesce((SELECT greatest(last_event_seq, rebuilt_to) FROM engine_cursor WHERE shard = %(shard)s), 0)"
)
_NAMED: Final[dict[str, Any]] = {
    "shard": SHARD,
    "fees": AccountKind.ENGINE_FEES,
    "trading": AccountKind.CUSTOMER_TRADING,
    "transit": AccountKind.IN_TRANSIT,
    "returned": RETURNED,
}
# OFFSET 0 keeps looks into an index from becoming a join that reads a table whole.
_OF_ACCOUNTS: Final = """
    SELECT SETTLED, found.* FROM (SELECT 1) always LEFT JOIN (
      SELECT n.id, a.asset, a.units FROM unnest(%(accounts)s::bigint[]) n(id)
       CROSS JOIN LATERAL (SELECT identity_id FROM engine_account WHERE id = n.id OFFSET 0) e
       CROSS JOIN LATERAL (SELECT asset, units FROM ledger_account WHERE kind = %(trading)s
                            AND asset = ANY (%(assets)s) AND owner = e.identity_id OFFSET 0) a
      UNION ALL
      SELECT 0, asset, units FROM ledger_account
       WHERE kind = %(fees)s AND asset = ANY (%(assets)s) AND 0 = ANY (%(accounts)s::bigint[])
    ) found ON true""".replace("SETTLED", _SETTLED)
_AFTER: Final = """
    SELECT SETTLED, a.id, a.asset, a.units,
           CASE a.kind WHEN %(fees)s THEN 0 WHEN %(trading)s
           THEN coalesce((SELECT e.id FROM engine_account e WHERE e.identity_id = a.owner), -1) END
      FROM (SELECT 1) always LEFT JOIN (
        SELECT id, kind, asset, owner, units FROM ledger_account
         WHERE id > %(after)s ORDER BY id LIMIT %(most)s) a ON true""".replace("SETTLED", _SETTLED)
_FLOWS: Final = """
    SELECT CASE a.kind WHEN %(fees)s THEN 0
           ELSE coalesce((SELECT e.id FROM engine_account e WHERE e.identity_id = a.owner), -1) END,
           p.asset, j.kind, sum(p.units)
      FROM ledger_posting p
     CROSS JOIN LATERAL (SELECT kind, owner FROM ledger_account WHERE id = p.account_id OFFSET 0) a
     CROSS JOIN LATERAL (SELECT kind FROM ledger_entry WHERE id = p.entry_id OFFSET 0) j
     WHERE NEW
       AND (a.kind IN (%(trading)s, %(fees)s) OR a.kind = %(transit)s AND j.kind = %(returned)s)
     GROUP BY 1, 2, 3""".replace("NEW", since.NEW)


@dataclass(frozen=True, slots=True)
class Held:
    """What accounts hold by the ledger as of settlement's event; `place` is the last one that was read."""

    settled_seq: int
    units: Movements
    place: UUID | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What moved in the ledger between two marks. Where it is `whole`, `settled_seq` is as of the newer."""

    settled_seq: int
    flows: Flows
    until: since.Mark
    whole: bool


def held_by(accounts: Collection[int]) -> Held:
    """What these accounts hold of what is traded here, without zeros."""
    with connection.cursor() as cursor:
        named = {"accounts": list(accounts), "assets": list(assets.NUMBERS)}
        cursor.execute(_OF_ACCOUNTS, _NAMED | named)
        rows = cursor.fetchall()
    return Held(rows[0][0], {(number, asset): int(units) for _, number, asset, units in rows if units})


def held_after(place: UUID, *, most: int) -> Held:
    """What those of the next so many accounts hold that are at the venue. They come by the order of their
    ids; `place` is None where there was none.
    """
    with connection.cursor() as cursor:
        cursor.execute(_AFTER, _NAMED | {"after": place, "most": most})
        rows = cursor.fetchall()
    held: Movements = {}
    for *_, asset, units, number in rows:
        if units and number is not None:
            held[number, asset] = held.get((number, asset), 0) + int(units)
    return Held(rows[0][0], held, max((row[1] for row in rows if row[1] is not None), default=None))


def beginning() -> News:
    """Nothing new, as of now."""
    with _one_moment(), connection.cursor() as cursor:
        cursor.execute("SELECT " + _SETTLED, _NAMED)
        return News(cursor.fetchone()[0], {}, since.now(), whole=True)


def news(mark: since.Mark) -> News | None:
    """What moved since that mark; None where the mark is of another server's history."""
    with _one_moment(), connection.cursor() as cursor:
        span = since.span(mark)
        if span.until.history != mark.history:
            return None
        rows = since.rows(_FLOWS, _NAMED | span.parameters)
        flows = {(number, asset, kind): int(units) for number, asset, kind, units in rows}
        cursor.execute("SELECT " + _SETTLED, _NAMED)
        return News(cursor.fetchone()[0], flows, span.until, span.whole)


@contextmanager
def _one_moment() -> Iterator[None]:
    """A transaction that sees one moment throughout, and writes nothing."""
    with transaction.atomic():
        if not connection.savepoint_ids:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
