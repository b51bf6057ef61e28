"""What came into the ledger since it was last read: all of it, once, however late it was committed.

Each posting has the transaction that wrote it, which the database fills in and no role may. A snapshot says
of each transaction whether it was seen: so what is new is what a snapshot sees and the one before did not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

AT_ONCE: Final = 50_000
"""Postings that are read at once; where more came, the next reading goes on."""

NEW: Final = """
    p.written_in >= %(least)s AND p.written_in < %(until)s
    AND CASE WHEN p.written_in = %(own)s THEN p.id > %(posting)s
        ELSE p.written_in >= %(unseen)s OR p.written_in = ANY (%(open)s) END"""
"""Of a posting `p`, that it is new; its parameters are a `Span`'s. What a transaction wrote that reads again
and again itself, as a test's does, is told by its number."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the ledger was read: a snapshot of one server's history, and the newest posting in it."""

    history: str
    snapshot: str
    posting: int


@dataclass(frozen=True, slots=True)
class Span:
    """What is between two marks. It is `whole` where nothing that can be seen comes after it."""

    until: Mark
    parameters: dict[str, Any]
    whole: bool


def now() -> Mark:
    """How far one gets who reads in the open transaction. `history` changes where a server was restored or
    replaced by its standby: its numbers of transactions say nothing of another's.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.system_identifier || '/' || c.timeline_id, pg_current_snapshot()::text,"
            " (SELECT coalesce(max(id), 0) FROM ledger_posting)"
            " FROM pg_control_system() s, pg_control_checkpoint() c"
        )
        return Mark(*cursor.fetchone())


def span(since: Mark, *, most: int | None = None) -> Span:
    """What is new in the open transaction since that mark, of the same history: about so many at most."""
    newest = now()
    least, unseen, still_open = _parts(since.snapshot)
    until, posting, whole = newest, newest.posting, True
    bound = 2**62
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id_if_assigned()::text")
        (own,) = cursor.fetchone()
        cursor.execute(
            "SELECT count(*), max(written_in), max(id) FROM"
            " (SELECT id, written_in FROM ledger_posting WHERE id > %s ORDER BY id LIMIT %s) q",
            [since.posting, most or AT_ONCE],
        )
        count, last, reached = cursor.fetchone()
    ended = _parts(newest.snapshot)[0]
    if count >= (most or AT_ONCE) and last is not None and unseen < min(last + 1, ended):
        # As if read when all of these transactions had ended, and none after them had begun.
        bound, posting, whole = min(last + 1, ended), reached, False
        until = Mark(newest.history, f"{bound}:{bound}:", posting)
    parameters = {
        "least": least,
        "until": bound,
        "own": None if own is None else int(own),
        "posting": since.posting,
        "unseen": unseen,
        "open": still_open,
    }
    return Span(until, parameters, whole)


def rows(sql: str, named: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What a statement with NEW in it finds. By the index, also where the planner knows nothing of the column
    yet: it would read all postings that ever were.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(sql, named)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        cursor.execute("SET LOCAL enable_seqscan = on")
    return found


def _parts(snapshot: str) -> tuple[int, int, list[int]]:
    """The oldest transaction that was open, the first that had not begun, and which were open."""
    oldest, first, still_open = snapshot.split(":")
    return int(oldest), int(first), [int(each) for each in still_open.split(",") if each]
