"""Merkle trees as in RFC 6962 and 9162: a frontier to append to, roots, inclusion and consistency proofs.

A leaf and an inner node are hashed under different first bytes, so that no node can be passed off as a leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
HASH_BYTES: Final = 32


class BadProof(ValueError):
    """The proof does not show what it claims."""


def leaf(data: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree reduced to what appending needs: its size and the roots of its perfect subtrees."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise ValueError("a frontier has one node for each bit of its size")

    def extended(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier after these leaf hashes; amortised one inner hash per leaf."""
        size, nodes = self.size, list(self.nodes)
        sha256 = hashlib.sha256
        for item in leaves:
            carry, found = size, item
            while carry & 1:
                found = sha256(b"\x01" + nodes.pop() + found).digest()
                carry >>= 1
            nodes.append(found)
            size += 1
        return Frontier(size, tuple(nodes))

    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.nodes:
            return EMPTY_ROOT
        found = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            found = node(left, found)
        return found


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaf hashes."""
    return Frontier().extended(leaves).root()


Span = tuple[int, int]
"""A run of leaves, from the first to behind the last."""


def inclusion_spans(size: int, index: int) -> list[Span]:
    """The subtrees whose roots show leaf `index` in a tree of that size, from the leaf upwards."""
    if not 0 <= index < size:
        raise BadProof("no such leaf")
    spans: list[Span] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((first, middle))
            first = middle
    return spans[::-1]


def consistency_spans(new_size: int, size: int) -> list[Span]:
    """The subtrees whose roots show that a tree of `size` leaves is the beginning of a larger one."""
    if not 0 < size <= new_size:
        raise BadProof("the older tree is empty or larger")
    spans: list[Span] = []
    first, end, whole = 0, new_size, True
    while size != end:
        middle = first + _split(end - first)
        if size <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((first, middle))
            first, whole = middle, False
    return ([] if whole else [(first, end)]) + spans[::-1]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path that shows leaf `index` under the root of these leaf hashes."""
    return [root(leaves[first:end]) for first, end in inclusion_spans(len(leaves), index)]


def consistency_proof(leaves: Sequence[bytes], size: int) -> list[bytes]:
    """The path that shows that the tree of the first `size` leaf hashes is the beginning of this one."""
    return [root(leaves[first:end]) for first, end in consistency_spans(len(leaves), size)]


BLOCK_LEVEL: Final = 10
BLOCK: Final = 1 << BLOCK_LEVEL
"""So many leaves are forgotten together: of them one root stays."""


@dataclass(slots=True)
class Tree:
    """A Merkle tree (RFC 6962) that keeps the root of each perfect subtree: 64 bytes a leaf, quick proofs.

    One that forgets keeps of its first leaves, up to `base`, one root a block. Where more is asked it has the
    block's leaves brought again (`recall`, from the first to behind the last), and believes what leads to the
    root that it kept.
    """

    levels: list[bytearray] = field(default_factory=lambda: [bytearray()])
    base: int = 0
    recall: Callable[[int, int], Iterable[bytes]] = lambda first, end: ()
    _recalled: tuple[int, Tree] | None = None

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self.base + len(self.levels[0]) // HASH_BYTES

    def append(self, data: bytes) -> None:
        """One more leaf."""
        found = leaf(data)
        for level in range(len(self.levels) + 1):
            if level == len(self.levels):
                self.levels.append(bytearray())
            row = self.levels[level]
            row += found
            if len(row) // HASH_BYTES % 2:
                return
            found = node(bytes(row[-2 * HASH_BYTES : -HASH_BYTES]), found)

    def forget(self) -> None:
        """Keep of each block that is full its root, and what is above."""
        base = self.size // BLOCK * BLOCK
        for level, row in enumerate(self.levels[:BLOCK_LEVEL]):
            del row[: (base - self.base >> level) * HASH_BYTES]
        self.base = base

    def root(self, size: int) -> bytes:
        """The root over the first `size` leaves; BadProof where what is recalled does not lead to it."""
        return self._span(0, size) if size else EMPTY_ROOT

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the tree of `old` leaves is the beginning of the one of `size`; or BadProof."""
        return [self._span(*span) for span in consistency_spans(size, old)] if old else []

    def _span(self, first: int, end: int) -> bytes:
        count = end - first
        level = (count - 1).bit_length()
        if count == 1 << level:
            if level < BLOCK_LEVEL and first < self.base:
                block = first // BLOCK * BLOCK
                return self._block(block)._span(first - block, end - block)
            place = (first - (self.base if level < BLOCK_LEVEL else 0) >> level) * HASH_BYTES
            return bytes(self.levels[level][place : place + HASH_BYTES])
        middle = first + (1 << level - 1)
        return node(self._span(first, middle), self._span(middle, end))

    def _block(self, first: int) -> Tree:
        """The block that begins there, out of leaves that are brought again."""
        if self._recalled is None or self._recalled[0] != first:
            found = Tree()
            for data in self.recall(first, first + BLOCK):
                found.append(data)
            if found.size != BLOCK or found.root(BLOCK) != self._span(first, first + BLOCK):
                raise BadProof(f"leaves {first} to {first + BLOCK} are not there as they were")
            self._recalled = first, found
        return self._recalled[1]


def verify_inclusion(proof: Sequence[bytes], *, leaf_hash: bytes, index: int, size: int, root: bytes) -> None:
    """Nothing, if the leaf is at that index under that root (RFC 9162, section 2.1.3.2); else BadProof."""
    if not 0 <= index < size:
        raise BadProof("no such leaf")
    _check_lengths([leaf_hash, root, *proof])
    place, last, found = index, size - 1, leaf_hash
    for item in proof:
        if not last:
            raise BadProof("the proof is too long")
        if place & 1 or place == last:
            found = node(item, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node(found, item)
        place, last = place >> 1, last >> 1
    if last or found != root:
        raise BadProof("the proof leads to another root")


def verify_consistency(
    proof: Sequence[bytes], *, size: int, root: bytes, new_size: int, new_root: bytes
) -> None:
    """Nothing, if the newer tree only appends to the older one (RFC 9162, section 2.1.4.2); else BadProof."""
    if not 0 <= size <= new_size:
        raise BadProof("the older tree is larger")
    _check_lengths([root, new_root, *proof])
    if size == 0 and (proof or root != EMPTY_ROOT):
        raise BadProof("every tree begins with the empty one, without proof")
    if size == new_size and (proof or root != new_root):
        raise BadProof("trees of equal size with different roots")
    if size in (0, new_size):
        return
    path = list(proof) if size & (size - 1) else [root, *proof]
    if not path:
        raise BadProof("the proof is empty")
    place, last = size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    older = newer = path[0]
    for item in path[1:]:
        if not last:
            raise BadProof("the proof is too long")
        if place & 1 or place == last:
            older, newer = node(item, older), node(item, newer)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            newer = node(newer, item)
        place, last = place >> 1, last >> 1
    if last or older != root or newer != new_root:
        raise BadProof("the proof leads to other roots")


def _check_lengths(hashes: Iterable[bytes]) -> None:
    if any(len(item) != HASH_BYTES for item in hashes):
        raise BadProof("a hash of another length")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
