"""Any part of the sealed tree in a few reads: the hashes of full tiles are kept, the rest is made from them.

A tile is 256 neighbouring hashes of one height, as in C2SP's tlog-tiles: height 0 are leaves, each hash of a
tile one level up is the root of a whole tile below. A tile that is missing is made from the events again, so
that tiles are never a second truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.audit.models import AuditLeaf, AuditTile
from kernel import merkle

_BITS: Final = 8
WIDTH: Final = 1 << _BITS


def inclusion_proof(size: int, index: int) -> list[bytes]:
    """The path of a leaf under the root at that size."""
    return [root(*span) for span in merkle.inclusion_spans(size, index)]


def consistency_proof(new_size: int, size: int) -> list[bytes]:
    """The path that shows the tree of `size` leaves to be the beginning of the larger one."""
    return [root(*span) for span in merkle.consistency_spans(new_size, size)] if size else []


def root(first: int, end: int) -> bytes:
    """The root over these leaves. `first` is a multiple of the power of two not below their number."""
    found: bytes | None = None
    parts: list[bytes] = []
    while first < end:
        height = (end - first).bit_length() - 1
        parts.append(_perfect(height, first >> height))
        first += 1 << height
    for part in reversed(parts):
        found = part if found is None else merkle.node(part, found)
    return merkle.EMPTY_ROOT if found is None else found


def keep_full_tiles(before: int, after: int) -> None:
    """Keep the tiles that became full while the tree grew; called by the sealer in its transaction."""
    level = 0
    while after >> (_BITS * (level + 1)):
        step = _BITS * (level + 1)
        for index in range(before >> step, after >> step):
            hashes = _hashes(level, index * WIDTH, (index + 1) * WIDTH)
            AuditTile.objects.create(level=level, index=index, hashes=b"".join(hashes))
        level += 1


def _perfect(height: int, index: int) -> bytes:
    """The root of a whole subtree of 2^height leaves."""
    level, rest = divmod(height, _BITS)
    return _fold(_hashes(level, index << rest, (index + 1) << rest))


def _hashes(level: int, first: int, end: int) -> Sequence[bytes]:
    """Neighbouring hashes of one tile, kept or made."""
    tile, offset = divmod(first, WIDTH)
    kept = AuditTile.objects.filter(level=level, index=tile).values_list("hashes", flat=True).first()
    if kept is not None:
        data, length = bytes(kept), merkle.HASH_BYTES
        return [data[at * length : (at + 1) * length] for at in range(offset, offset + end - first)]
    if level:
        return [_fold(_hashes(level - 1, at * WIDTH, (at + 1) * WIDTH)) for at in range(first, end)]
    texts = AuditLeaf.objects.filter(index__gte=first, index__lt=end).order_by("index")
    return [merkle.leaf(canon.encode()) for canon in texts.values_list("event__canon", flat=True)]


def _fold(hashes: Sequence[bytes]) -> bytes:
    return merkle.Frontier().extended(hashes).root()
