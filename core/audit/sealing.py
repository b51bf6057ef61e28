"""Sealing: new events become leaves of the Merkle tree, under a signed checkpoint, off the hot path."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from core.audit import tree
from core.audit.models import AuditCheckpoint, AuditLeaf
from kernel import merkle

BATCH: Final = 5000

# Only transactions that ended before the oldest one still running: none can appear behind the cursor later.
# The text has a name of its own: ORDER BY prefers output columns, and as text "1000" stands before "999".
_NEXT: Final = """
SELECT id, txid::text AS txid_text, canon FROM audit_event
WHERE (txid, id) > (%s::text::xid8, %s) AND txid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY audit_event.txid, audit_event.id LIMIT %s
"""


Seal = Callable[[int, bytes], str]
"""Signs a tree head, given its size and root; gives the whole signed note."""


def seal_next(seal: Seal, *, now: datetime) -> int:
    """Seal up to BATCH waiting events in one transaction; how many. The caller is the only sealer."""
    with transaction.atomic():
        last = AuditCheckpoint.objects.order_by("-size").first()
        frontier, cursor_at = merkle.Frontier(), ("0", 0)
        if last is not None:
            frontier = merkle.Frontier(last.size, tuple(bytes.fromhex(node) for node in last.frontier))
            cursor_at = (last.last_txid, last.last_id)
        with connection.cursor() as cursor:
            cursor.execute(_NEXT, [*cursor_at, BATCH])
            rows = cursor.fetchall()
        if not rows:
            return 0
        leaves = [AuditLeaf(index=frontier.size + place, event_id=row[0]) for place, row in enumerate(rows)]
        AuditLeaf.objects.bulk_create(leaves, batch_size=1000)
        before = frontier.size
        frontier = frontier.extended(merkle.leaf(canon.encode()) for _, _, canon in rows)
        AuditCheckpoint.objects.create(
            size=frontier.size,
            note=seal(frontier.size, frontier.root()),
            last_txid=rows[-1][1],
            last_id=rows[-1][0],
            frontier=[node.hex() for node in frontier.nodes],
            sealed_at=now,
        )
        tree.keep_full_tiles(before, frontier.size)
    return len(rows)
