"""Proofs for a tree that has grown in memory and is not written yet.

The sealer must show the notary that new leaves continue what the notary signed last, before it writes them.
After a crash that may be more than the database holds: then the proof begins inside the new leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.audit import tree
from kernel import merkle


@dataclass(frozen=True, slots=True)
class Growth:
    """The frontier that is written, and the leaf hashes that follow it."""

    before: merkle.Frontier
    added: Sequence[bytes]

    def proof(self, old: int) -> list[bytes]:
        """The path that shows the grown tree to continue its own first `old` leaves; BadProof."""
        size = self.before.size + len(self.added)
        return [self._root(*span) for span in merkle.consistency_spans(size, old)] if old else []

    def _root(self, first: int, end: int) -> bytes:
        written = self.before.size
        if first >= written:
            return merkle.root(self.added[first - written : end - written])
        nodes, start = [], 0
        for node, width in zip(self.before.nodes, _widths(written), strict=True):
            if first <= start and start + width <= end:
                nodes.append(node)
            start += width
        reach = min(end, written)
        if reach - first != 0 and len(nodes) == (reach - first).bit_count():
            inside = merkle.Frontier(reach - first, tuple(nodes))
            return inside.extended(self.added[: max(0, end - written)]).root()
        return tree.root(first, end)  # the notary remembers less than is written: read it again


def _widths(size: int) -> list[int]:
    """The sizes of the perfect subtrees of a tree, largest first."""
    return [1 << bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]
