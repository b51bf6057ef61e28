"""Any part of the sealed tree in a few reads: the roots of full tiles are kept, the rest is made from them.

A tile is 256 neighbouring hashes of one height, as in C2SP's tlog-tiles: height 0 are leaves, each hash of a
tile one level up is the root of a whole tile below, which is kept with that one. A tile that is not full yet,
or is missing, is made from the roots below it, and leaves from the hashes that each checkpoint keeps anyhow.
None of it is a second truth: signed are the roots alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from django.db import connection

from core.audit import mentions
from core.audit.models import AuditCheckpoint, AuditEvent, AuditTile
from kernel import merkle

if TYPE_CHECKING:
    from core.audit.growing import Growth

_BITS: Final = 8
WIDTH: Final = 1 << _BITS
_KEEP: Final = "COPY audit_tile (level, index, hashes, root) FROM STDIN"


def inclusion_proof(size: int, index: int) -> list[bytes]:
    """The path of a leaf under the root at that size."""
    tiles = _Tiles(size)
    return [tiles.root(*span) for span in merkle.inclusion_spans(size, index)]


def consistency_proof(new_size: int, size: int) -> list[bytes]:
    """The path that shows the tree of `size` leaves to be the beginning of the larger one."""
    tiles = _Tiles(new_size)
    return [tiles.root(*span) for span in merkle.consistency_spans(new_size, size)] if size else []


def root(first: int, end: int) -> bytes:
    """The root over these leaves. `first` is a multiple of the power of two not below their number."""
    return _Tiles(end).root(first, end)


def leaves(first: int, end: int) -> Iterator[bytes]:
    """The leaf hashes as they were sealed, tile by tile: whatever happened to the events since."""
    while first < end:
        until = min(end, (first | (WIDTH - 1)) + 1)
        yield b"".join(_Tiles(until).hashes(0, first, until))
        first = until


def keep_full_tiles(grown: Growth) -> None:
    """Keep the tiles that became full; called by the sealer in its transaction."""
    before, after = grown.before.size, grown.size
    leaf_tiles = range(before >> _BITS, after >> _BITS)
    if not leaf_tiles:
        return
    _keep((0, tile, (), grown.node(_BITS, tile)) for tile in leaf_tiles)
    level = 1
    while after >> (_BITS * (level + 1)):
        step, tiles = _BITS * (level + 1), _Tiles(after)
        full = range(before >> step, after >> step)
        whole = [(tile, tiles.hashes(level, tile * WIDTH, (tile + 1) * WIDTH)) for tile in full]
        _keep((level, tile, hashes, merkle.root(hashes)) for tile, hashes in whole)
        level += 1


def _keep(made: Iterable[tuple[int, int, Sequence[bytes], bytes]]) -> None:
    rows = list(made)  # no other question can be asked while they are copied
    with connection.cursor() as cursor, cursor.copy(_KEEP) as copy:
        for level, index, hashes, found in rows:
            copy.write_row((level, index, b"".join(hashes), found))


class _Tiles:
    """The tree of `size` leaves, for one question: no tile is read twice."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._read: dict[tuple[int, int], list[bytes]] = {}

    def root(self, first: int, end: int) -> bytes:
        found: bytes | None = None
        parts: list[bytes] = []
        while first < end:
            height = (end - first).bit_length() - 1
            parts.append(self._perfect(height, first >> height))
            first += 1 << height
        for part in reversed(parts):
            found = part if found is None else merkle.node(part, found)
        return merkle.EMPTY_ROOT if found is None else found

    def hashes(self, level: int, first: int, end: int) -> list[bytes]:
        """Neighbouring hashes of one tile."""
        tile, offset = divmod(first, WIDTH)
        if (level, tile) not in self._read:
            self._read[level, tile] = self._tile(level, tile)
        return self._read[level, tile][offset : offset + end - first]

    def _perfect(self, height: int, index: int) -> bytes:
        """The root of a whole subtree of 2^height leaves."""
        level, rest = divmod(height, _BITS)
        return merkle.root(self.hashes(level, index << rest, (index + 1) << rest))

    def _tile(self, level: int, tile: int) -> list[bytes]:
        """All hashes of a tile that there are, kept or made."""
        kept = AuditTile.objects.filter(level=level, index=tile).values_list("hashes", flat=True).first()
        if kept:
            data, length = bytes(kept), merkle.HASH_BYTES
            return [data[at : at + length] for at in range(0, len(data), length)]
        first = tile * WIDTH
        end = min(first + WIDTH, self._size >> (_BITS * level))
        if not level:
            return _sealed(first, end)
        below = AuditTile.objects.filter(level=level - 1, index__gte=first, index__lt=end)
        roots = {index: bytes(found) for index, found in below.values_list("index", "root")}
        # Tiles that were kept before their roots were have none.
        return [
            roots.get(at) or merkle.root(self.hashes(level - 1, at * WIDTH, (at + 1) * WIDTH))
            for at in range(first, end)
        ]


def _sealed(first: int, end: int) -> list[bytes]:
    """Leaf hashes from the checkpoints that added them; of the oldest ones, from the events."""
    last = AuditCheckpoint.objects.filter(size__gte=end).order_by("size").values_list("size")[:1]
    rows = AuditCheckpoint.objects.filter(size__gt=first, size__lte=last).order_by("size")
    found = list(rows.values_list("size", "hashes"))
    data, length = b"".join(bytes(hashes) for _, hashes in found), merkle.HASH_BYTES
    start = found[-1][0] - len(data) // length if found else end
    if start <= first:
        return [data[at * length : (at + 1) * length] for at in range(first - start, end - start)]
    heads = AuditCheckpoint.objects.order_by("size").values_list("last_id", "size")
    before = heads.filter(size__lte=first).last() or (0, 0)
    until = heads.filter(size__gte=end).first() or (0, 0)
    events = list(chain.from_iterable(mentions.batches(before[0], until[0])))[first - before[1] :]
    texts = AuditEvent.texts.numbered(events[: end - first])
    return [merkle.leaf(texts[event].canon.encode()) for event in events[: end - first] if event in texts]
