"""A log that witnesses watch: its lines by the page, its heads, and who has seen them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from kernel import cosignature, note
from kernel.cosignature import Cosigner

LINES_MAX: Final = 500
LINES_BYTES_MAX: Final = 100_000
"""Escaped as text inside an answer, they are still within one frame."""


def page(lines: Iterable[bytes]) -> list[str]:
    """As many of these lines as are given out at once; the first, however long it is."""
    found: list[str] = []
    room = LINES_BYTES_MAX
    for line in lines:
        room -= len(line)
        if len(found) == LINES_MAX or (found and room < 0):
            break
        found.append(line.decode().removesuffix("\n"))
    return found


def head(text: str, *, by: note.Verifier) -> note.Checkpoint:
    """The head in a note of this very log, which its key signed; BadNote."""
    found = note.Checkpoint.parse(note.open_note(text, by=by))
    if found.origin != by.name:
        raise note.BadNote(f"a head of {found.origin}")
    return found


def seen(
    shown: note.Checkpoint, text: str, *, among: Iterable[Cosigner], quorum: int, times: Collection[int]
) -> int:
    """When the slowest of that many witnesses saw this head, by what they cosigned in the note at one of
    these times (POSIX seconds); BadNote where they are fewer.
    """
    found: list[int] = []
    for key in among:
        try:
            at = cosignature.check(shown.text(), cosignature.lines_of(text), by=key)
        except note.BadNote:
            continue
        if at in times:
            found.append(at)
    if len(found) < quorum:
        raise note.BadNote(f"{len(found)} fresh cosignatures, {quorum} are needed")
    return sorted(found, reverse=True)[quorum - 1]
