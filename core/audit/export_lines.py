"""The lines of an audit export under one checkpoint: their leaf hashes, and the first that was not sealed so.

A line holds an event's canonical text. What was written past the application may hold line breaks: it stands
as `=` and the base64 of its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import BinaryIO, Final

from kernel import canonical, encodings, merkle

LINE_BYTES_MAX: Final = 6 * canonical.LENGTH_MAX
"""Longer than any event's: the database takes so many characters, of four bytes at most, and in base64."""
PIECE_LINES: Final = 1024
PIECE_BYTES: Final = 4 * LINE_BYTES_MAX
"""In memory at a time, however many one checkpoint covers: whoever makes the export may leave others out."""
_QUOTED: Final = ord("=")


def lines(events: BinaryIO) -> Iterator[bytes]:
    """The lines, up to one that is longer than any event's: of that its beginning, and nothing behind it."""
    while line := events.readline(LINE_BYTES_MAX + 1):
        yield line
        if len(line) > LINE_BYTES_MAX:
            return


def leaf_hashes(batch: Sequence[bytes]) -> list[bytes]:
    """The leaf hash of each line; of one that a file's end cut off, no event's."""
    sha256 = hashlib.sha256
    found = [
        sha256(b"\x00" + (line[:-1] if line[0] != _QUOTED else _unquoted(line))).digest() for line in batch
    ]
    if batch and _is_cut(batch[-1]):
        found[-1] = merkle.EMPTY_ROOT  # no event's
    return found


def _is_cut(line: bytes) -> bool:
    """Whether it has no end: only the last line that was read can."""
    return not line.endswith(b"\n")


def _unquoted(line: bytes) -> bytes:
    """The text of a line in base64; of one that is not, or need not be, the line as it stands."""
    try:
        text = encodings.from_base64_standard(line[1:-1].decode("ascii"))
    except ValueError:
        return line[:-1]
    return text if b"\n" in text or text[:1] == b"=" else line[:-1]


def piece(lines: Iterator[bytes], count: int) -> list[bytes]:
    """The next lines, so many at most, and no more than may lie in memory at once."""
    found: list[bytes] = []
    length = 0
    for line in islice(lines, min(count, PIECE_LINES)):
        found.append(line)
        length += len(line)
        if length >= PIECE_BYTES:
            break
    return found


def grown(
    tree: merkle.Frontier,
    lines: Iterator[bytes],
    *,
    upto: int,
    look: Callable[[bytes], object] | None = None,
) -> merkle.Frontier:
    """The tree with the next lines in it, up to that size, or to the last line where they are fewer.

    `look` is shown each, before anybody knows whether it holds.
    """
    while some := piece(lines, upto - tree.size):
        tree = tree.extended(leaf_hashes(some))
        if look is not None:
            for line in some:
                look(line)
    return tree


def kept_hashes(leaves: BinaryIO | None, *, first: int, count: int) -> Iterator[bytes]:
    """These of the kept leaf hashes, as many as there are."""
    if leaves is None:
        return
    leaves.seek(first * merkle.HASH_BYTES)
    for _ in range(count):
        kept = leaves.read(merkle.HASH_BYTES)
        if len(kept) < merkle.HASH_BYTES:
            return
        yield kept


def first_bad(
    lines: Iterator[bytes],
    before: merkle.Frontier,
    size: int,
    root: bytes,
    *,
    leaves: BinaryIO | None,
    start: int,
) -> str:
    """Name the first bad event behind the tree `before` as narrowly as the evidence allows; `leaves` are
    evidence only where the root over so many events proves them.

    Without them the first line that looks wrong need not be the first that is: the log may have sealed it so.
    """
    first = number = before.size
    place = {"first": first - start, "count": size - first}
    is_known = before.extended(kept_hashes(leaves, **place)).root() == root
    kept = kept_hashes(leaves if is_known else None, **place)
    line, looks = b"\n", ""
    while some := piece(lines, size - number):
        for line, found in zip(some, leaf_hashes(some), strict=True):
            if is_known and next(kept) != found:
                return f"event {number} is not the one that was sealed{_why(line)}"
            if not is_known and not looks and (why := _why(line)):
                looks = f"; event {number} looks like it{why}"
            number += 1
    missing = f"event {number} is missing: a checkpoint covers {size} events"
    if is_known:
        return missing
    if number == size == first + 1:
        return f"event {first} is not the one that was sealed{_why(line)}"
    unknown = "(the export holds no leaf hashes that fit)"
    is_read = len(line) <= LINE_BYTES_MAX  # else nothing behind it was
    if number < size and is_read:
        return f"{missing}; or one from {first} on was removed {unknown}{looks}"
    return f"one of the events {first} to {size - 1} was changed, removed, added or moved {unknown}{looks}"


def _why(line: bytes) -> str:
    """What shows by itself that the log did not write the line."""
    if len(line) > LINE_BYTES_MAX:
        return f": its line is longer than {LINE_BYTES_MAX} bytes, which no event's is"
    if _is_cut(line):
        return ": its line has no end"
    try:
        canonical.decode_object(line[:-1])
    except canonical.NotCanonical as error:
        return f": it is not canonical ({error})"
    return ""
