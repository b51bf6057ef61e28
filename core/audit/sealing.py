"""Sealing: new events become leaves of the Merkle tree, under a signed checkpoint, off the hot path."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import psycopg
from django.db import connection, transaction

from core.audit import mentions, tree
from core.audit.domain.reading import found_by
from core.audit.growing import Growth
from core.audit.models import key_of
from core.daemon import lock_key
from kernel import merkle

log = logging.getLogger(__name__)

BATCH: Final = 5000
INTERVAL_S: Final = 0.4
"""Between two looks, where less than a whole batch waited. A look costs as much as a hundred events."""
SHORT: Final = 8 * 1024
"""Bytes of a text that is read with the others. A whole batch of long ones would need gigabytes."""
LONG_MAX: Final = 256
"""Longer ones in a batch; in front of one more it ends."""

# What a look costs beside its events is paid every 0.4 s, also by those who write: plain SQL, built once.
_WRITTEN: Final = """
SELECT size, last_id, frontier::text, (last_id >> 20) >= txid_snapshot_xmax(txid_current_snapshot())
FROM audit_checkpoint ORDER BY size DESC LIMIT 1
"""
# Only transactions that ended before the oldest one still running: an event's number begins with that of its
# transaction, so none can appear behind the cursor later.
_NEXT: Final = """
SELECT tx << 20 | n, act::text, CASE WHEN octet_length(canon) <= %s THEN canon END FROM audit_event
WHERE (tx, n) > (%s, %s) AND tx < txid_snapshot_xmin(txid_current_snapshot())
ORDER BY tx, n LIMIT %s
"""
_LONG: Final = "SELECT canon FROM audit_event WHERE tx = %s AND n = %s"
# The daemon's own lock, which its session has already: nobody else gets it, and two that lead nobody wait for
# no longer than a batch. Whoever has it sees what the other wrote.
_ALONE: Final = "SELECT pg_try_advisory_xact_lock(%s)"
_CHECKPOINT: Final = """
INSERT INTO audit_checkpoint (size, note, last_id, frontier, hashes, sealed_at)
SELECT %s, %s, %s, %s::jsonb, %b, %s WHERE NOT EXISTS (SELECT FROM audit_checkpoint WHERE size > %s)
"""
LEADER: Final = "audit-sealer"


class NotSealed(Exception):
    """Nothing was written; the text says why. The events wait."""


Seal = Callable[[int, bytes, Growth], str]
"""Signs a tree head, given its size, its root and what proves that it continues; the whole signed note."""

Sealed = Callable[[Sequence[tuple[int, bytes]]], None]
"""Is given the number and leaf hash of each event of a batch, in order."""


def seal_next(seal: Seal, *, now: datetime, sealed: Sealed = lambda _: None) -> int:
    """Seal up to BATCH waiting events; how many. `sealed` is told which, once they are. NotSealed, also where
    another sealer is at work: two that continue one head would list its events twice.

    The head is signed while no transaction is open. Dying before it is written does no harm: the events still
    wait, in the same order, and the next head continues the one that was signed.
    """
    frontier, cursor_at = _written()
    rows = _waiting(cursor_at)
    if not rows:
        return 0
    numbers, last_id = [number for number, _, _ in rows], rows[-1][0]
    hashes = [merkle.leaf(canon.encode()) for _, _, canon in rows]
    grown = Growth(frontier, hashes)
    after = grown.frontier()
    signed = seal(grown.size, after.root(), grown)
    nodes = json.dumps([node.hex() for node in after.nodes])
    with transaction.atomic():
        with psycopg.Cursor(
            connection.connection
        ) as cursor:  # binds parameters: Django's writes them as text
            if cursor.execute(_ALONE, [lock_key(LEADER)]).fetchone() != (True,):
                raise NotSealed("another sealer is at work")
            head = (grown.size, signed, last_id, nodes, b"".join(hashes), now)
            if cursor.execute(_CHECKPOINT, (*head, frontier.size)).rowcount != 1:
                raise NotSealed("another sealer went on meanwhile")
        mentions.keep(_terms(rows), last_id=last_id)
        tree.keep_full_tiles(grown)
    sealed(list(zip(numbers, hashes, strict=True)))
    return len(rows)


def _written() -> tuple[merkle.Frontier, int]:
    """The tree as it is written, and the last event in it."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN)
        size, last_id, nodes, is_ahead = cursor.fetchone() or (0, 0, "[]", False)
    if is_ahead:
        raise NotSealed(
            f"event {last_id}, the last that is sealed, is of a transaction that has not begun: "
            "was the database restored from a dump, or the checkpoint changed?"
        )
    return merkle.Frontier(size, tuple(bytes.fromhex(node) for node in json.loads(nodes))), last_id


def _waiting(cursor_at: int) -> list[tuple[int, str | None, str]]:
    """Number, act and text of the events that come next. In binary form they cost half as much to take in."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        rows = cursor.execute(_NEXT, [SHORT, *key_of(cursor_at), BATCH], binary=True).fetchall()
        long = [place for place, (_, _, canon) in enumerate(rows) if canon is None]
        del rows[long[LONG_MAX] if len(long) > LONG_MAX else len(rows) :]
        for place in long[:LONG_MAX]:
            number, act, _ = rows[place]
            found = cursor.execute(_LONG, key_of(number), binary=True).fetchone()
            if found is None:
                raise NotSealed(f"event {number} was removed while it was read")
            rows[place] = number, act, found[0]
        return rows


def _terms(rows: Sequence[tuple[int, str | None, str]]) -> Iterator[tuple[int, list[str]]]:
    """What each event can be found by. One that lies is sealed too, and named."""
    for number, act, canon in rows:
        found = found_by(canon, act=act)
        if found.fault:
            log.error("audit event %s: %s", number, found.fault)
        yield number, found.terms()
