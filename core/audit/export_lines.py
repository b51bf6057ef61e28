"""The lines of an audit export under one checkpoint: their leaf hashes, and the first that was not sealed so.

A line holds an event's canonical text. What was written past the application may hold line breaks: it stands
as `=` and the base64 of its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from kernel import canonical, encodings, merkle

LINE_BYTES_MAX: Final = 6 * canonical.LENGTH_MAX
"""Longer than any event's: the database takes so many characters, of four bytes at most, and in base64."""
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


def kept_hashes(leaves: bytes | None, *, first: int, count: int) -> list[bytes]:
    """These of the kept leaf hashes; none where not all of them were kept."""
    length = merkle.HASH_BYTES
    kept = (leaves or b"")[first * length : (first + count) * length]
    return (
        [kept[at : at + length] for at in range(0, len(kept), length)] if len(kept) == count * length else []
    )


def first_bad(
    batch: Sequence[bytes], found: Sequence[bytes], *, first: int, size: int, known: Sequence[bytes]
) -> str:
    """Name the first bad event as narrowly as the evidence allows; `known` are hashes that a root proves.

    Without them the first line that looks wrong need not be the first that is: the log may have sealed it so.
    """
    for place, (kept, is_) in enumerate(zip(known, found, strict=False)):
        if kept != is_:
            return f"event {first + place} is not the one that was sealed{_why(batch[place])}"
    missing = f"event {first + len(batch)} is missing: a checkpoint covers {size} events"
    if known:
        return missing
    if len(batch) == size - first == 1:
        return f"event {first} is not the one that was sealed{_why(batch[0])}"
    unknown = "(the export holds no leaf hashes that fit)"
    odd = ((first + place, _why(line)) for place, line in enumerate(batch))
    looks = next((f"; event {number} looks like it{why}" for number, why in odd if why), "")
    is_read = not batch or len(batch[-1]) <= LINE_BYTES_MAX  # else nothing behind it was
    if len(batch) < size - first and is_read:
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
