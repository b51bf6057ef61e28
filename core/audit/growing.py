"""The tree that has grown in memory and is not written yet: each of its inner hashes is made once.

From it come the frontier and the tiles that the sealer writes, and the proofs that it must show the notary
before: that new leaves continue what the notary signed last. After a crash that may be more than the database
holds: then the proof begins inside the new leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from core.audit import tree
from kernel import merkle


class Growth:
    """A frontier that is written, and the leaf hashes that follow it."""

    def __init__(self, before: merkle.Frontier, added: Sequence[bytes]) -> None:
        self.before: Final = before
        self.added: Final = added
        self.size: Final = before.size + len(added)
        self._written: Final = _places(before)
        self._levels: Final = [(before.size, added)]
        first, row = self._levels[0]
        while len(row) > 1:
            # A left sibling that is written already makes a node across both; it is found on demand.
            row = row[first & 1 :]
            row = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(row[::2], row[1::2], strict=False)
            ]
            first = first + 1 >> 1
            self._levels.append((first, row))

    def frontier(self) -> merkle.Frontier:
        """The grown tree's."""
        nodes, first = [], 0
        for height in _heights(self.size):
            nodes.append(self.node(height, first >> height))
            first += 1 << height
        return merkle.Frontier(self.size, tuple(nodes))

    def proof(self, old: int) -> list[bytes]:
        """The path that shows the grown tree to continue its own first `old` leaves; BadProof."""
        spans = merkle.consistency_spans(self.size, old) if old else []
        return [self._root(first, end) for first, end in spans]

    def node(self, height: int, index: int) -> bytes:
        """The root of the whole subtree of 2^height leaves at that place."""
        first, end = index << height, index + 1 << height
        if first >= self.before.size:
            start, row = self._levels[height]
            return row[index - start]
        if end > self.before.size:
            return merkle.node(self.node(height - 1, 2 * index), self.node(height - 1, 2 * index + 1))
        found = self._written.get((height, index))
        return tree.root(first, end) if found is None else found  # the notary remembers less than is written

    def _root(self, first: int, end: int) -> bytes:
        parts = []
        for height in _heights(end - first):
            parts.append(self.node(height, first >> height))
            first += 1 << height
        found = parts[-1]
        for part in reversed(parts[:-1]):
            found = merkle.node(part, found)
        return found


def _places(frontier: merkle.Frontier) -> dict[tuple[int, int], bytes]:
    """Height and index of each of its nodes."""
    places, first = {}, 0
    for height, found in zip(_heights(frontier.size), frontier.nodes, strict=True):
        places[height, first >> height] = found
        first += 1 << height
    return places


def _heights(size: int) -> list[int]:
    """Of the whole subtrees of a tree, largest first."""
    return [bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]
