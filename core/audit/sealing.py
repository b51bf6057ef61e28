"""Sealing: new events become leaves of the Merkle tree, under a signed checkpoint, off the hot path."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from core.audit import tree
from core.audit.domain.reading import found_by
from core.audit.growing import Growth
from kernel import merkle

log = logging.getLogger(__name__)

BATCH: Final = 5000
INTERVAL_S: Final = 0.4
"""Between two looks, where less than a whole batch waited. A look costs as much as a hundred events."""

# What a look costs beside its events is paid every 0.4 s, also by those who write: plain SQL, built once.
_WRITTEN: Final = "SELECT size, last_id, frontier::text FROM audit_checkpoint ORDER BY size DESC LIMIT 1"
# Only transactions that ended before the oldest one still running: an event's number begins with that of its
# transaction, so none can appear behind the cursor later.
_NEXT: Final = """
SELECT id, act::text, canon FROM audit_event
WHERE id > %s AND id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 20
ORDER BY id LIMIT %s
"""
_KEEP: Final = "COPY audit_leaf (index, event_id, at, action, target, actor, person, under, fault) FROM STDIN"
_CHECKPOINT: Final = """
INSERT INTO audit_checkpoint (size, note, last_id, frontier, hashes, sealed_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""


Seal = Callable[[int, bytes, Growth], str]
"""Signs a tree head, given its size, its root and what proves that it continues; the whole signed note."""

Sealed = Callable[[Sequence[tuple[int, bytes]]], None]
"""Is given the number and leaf hash of each event of a batch, in order."""


def seal_next(seal: Seal, *, now: datetime, sealed: Sealed = lambda _: None) -> int:
    """Seal up to BATCH waiting events; how many. The caller is the only sealer. `sealed` is told which, once
    they are.

    The head is signed while no transaction is open. Dying before it is written does no harm: the events still
    wait, in the same order, and the next head continues the one that was signed.
    """
    frontier, cursor_at = _written()
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [cursor_at, BATCH])
        rows = cursor.fetchall()
    if not rows:
        return 0
    hashes = [merkle.leaf(canon.encode()) for _, _, canon in rows]
    grown = frontier.extended(hashes)
    signed = seal(grown.size, grown.root(), Growth(frontier, hashes))
    nodes = json.dumps([node.hex() for node in grown.nodes])
    head = (grown.size, signed, rows[-1][0], nodes, b"".join(hashes), now)
    with transaction.atomic():
        _keep_leaves(rows, first=frontier.size)
        with connection.cursor() as cursor:
            cursor.execute(_CHECKPOINT, head)
        tree.keep_full_tiles(frontier.size, hashes)
    sealed([(number, found) for (number, _, _), found in zip(rows, hashes, strict=True)])
    return len(rows)


def _written() -> tuple[merkle.Frontier, int]:
    """The tree as it is written, and the last event in it."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN)
        size, last_id, nodes = cursor.fetchone() or (0, 0, "[]")
    return merkle.Frontier(size, tuple(bytes.fromhex(node) for node in json.loads(nodes))), last_id


def _keep_leaves(rows: Sequence[tuple[int, str | None, str]], *, first: int) -> None:
    """Each event's place, and what it can be found by. One that lies is sealed too, and named."""
    with connection.cursor() as cursor, cursor.copy(_KEEP) as copy:
        for index, (number, act, canon) in enumerate(rows, first):
            found = found_by(canon, act=act)
            if found.fault:
                log.error("audit event %s: %s", number, found.fault)
            row = (found.at, found.action, found.target, found.actor, found.person, found.under, found.fault)
            copy.write_row((index, number, *row))
