"""Sealing: new events become leaves of the Merkle tree, under a signed checkpoint, off the hot path."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from django.db import connection, transaction

from core.audit.models import AuditCheckpoint, AuditLeaf
from kernel import merkle

BATCH: Final = 5000

# Only events of transactions that ended before the oldest one still running: none can appear behind the cursor later.
_NEXT: Final = """
SELECT id, txid::text, canon FROM audit_event
WHERE (txid, id) > (%s::text::xid8, %s) AND txid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY txid, id LIMIT %s
"""


class Seal(Protocol):
    """Signs a tree head; gives the whole signed note."""

    def __call__(self, *, size: int, root: bytes) -> str: ...


def seal_next(seal: Seal, *, now: datetime) -> int:
    """Seal up to BATCH waiting events in one transaction; how many. One sealer at a time (the caller leads)."""
    with transaction.atomic():
        last = AuditCheckpoint.objects.order_by("-size").first()
        frontier = merkle.Frontier()
        cursor_at: tuple[str, int] = ("0", 0)
        if last is not None:
            frontier = merkle.Frontier(size=last.size, nodes=[bytes.fromhex(node) for node in last.frontier])
            cursor_at = (last.last_txid, last.last_id)
        with connection.cursor() as cursor:
            cursor.execute(_NEXT, [*cursor_at, BATCH])
            rows = cursor.fetchall()
        if not rows:
            return 0
        leaves = []
        for identifier, _, canon in rows:
            leaves.append(AuditLeaf(index=frontier.size, event_id=identifier))
            frontier.add(merkle.leaf_hash(canon.encode()))
        AuditLeaf.objects.bulk_create(leaves, batch_size=1000)
        AuditCheckpoint.objects.create(
            size=frontier.size,
            note=seal(size=frontier.size, root=frontier.root()),
            last_txid=rows[-1][1],
            last_id=rows[-1][0],
            frontier=[node.hex() for node in frontier.nodes],
            sealed_at=now,
        )
    return len(rows)
