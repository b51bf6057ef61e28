"""What signed heads say to an outsider: whose they are, and when which witness had seen no more.

The head of another log (a signer's, the approver's, the vault's) stands in an export by itself. Whoever
makes the export can choose an old one, which hides what came after it: what a witness remembers of that log
says how far it must reach.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TextIO

from kernel import cosignature, encodings, note

_DASH: Final = "\N{EM DASH}"
_NOTE_CHARACTERS_MAX: Final = 1_000_000

Times = tuple[tuple[str, int], ...]  # witnesses by name, and when each cosigned (POSIX seconds)


class Wrong(Exception):
    """The log does not hold; the text names the first fault."""


class Seen(NamedTuple):
    """The largest tree of a log that a witness remembers, and which witness that is; of the log that is
    exported, where none is named.
    """

    size: int
    root: bytes
    by: str = "the witness"
    log: str = ""


def parse_seen(text: str, *, by: str) -> list[Seen]:
    """What a witness remembers: `size base64-root`, or with the log's name behind it, a line for each log."""
    found = []
    for line in text.splitlines():
        parts = line.split()
        if not 2 <= len(parts) <= 3 or not parts[0].isdecimal():
            raise ValueError(
                "a witness file holds lines `size base64-root`, each with a log's name or without"
            )
        found.append(Seen(int(parts[0]), encodings.from_base64_standard(parts[1]), by, "".join(parts[2:])))
    if not found:
        raise ValueError(f"{by} remembers nothing")
    return found


def cosigned_at(head: note.Checkpoint, piece: str, by: cosignature.Cosigner) -> int:
    """When the witness cosigned the head; BadNote, also where that is no time."""
    at = cosignature.check(head.text(), cosignature.lines_of(piece), by=by)
    try:
        moment(at)
    except (ValueError, OverflowError, OSError):
        raise note.BadNote(f"{by.name} cosigned at a time that no clock shows ({at})") from None
    return at


def moment(at: int) -> str:
    """The time for people."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def verify_heads(
    text: str,
    *,
    keys: Sequence[note.Verifier],
    cosigners: Sequence[cosignature.Cosigner],
    witnesses: Sequence[Seen] = (),
    proven: Collection[str] = (),
) -> list[tuple[note.Checkpoint, Times]]:
    """The head of each log, and when each witness cosigned it; Wrong names the first log without one, or
    whose head is not as far as a witness remembers. Of several heads of a log the last one counts.

    Of the logs in `proven` lines were read that lead to this head and to all that witnesses remember: such a
    head may be older, since the lines show that what came after continues it.
    """
    found_pieces = {piece.partition("\n")[0]: piece for piece in pieces(text.split("\n"))}
    found = []
    for key in keys:
        piece = found_pieces.get(key.name)
        if piece is None:
            raise Wrong(f"the log {key.name} has no cosigned head")
        try:
            head = note.Checkpoint.parse(note.open_note(piece, by=key))
            times = tuple((by.name, cosigned_at(head, piece, by)) for by in cosigners)
        except note.BadNote as error:
            raise Wrong(f"the head of {key.name}: {error}") from None
        for seen in witnesses:
            if seen.log == key.name and head.size < seen.size and key.name not in proven:
                raise Wrong(f"the head of {key.name} is old: {head.size} lines, {seen.by} saw {seen.size}")
            if (seen.log, seen.size) == (key.name, head.size) and head.root != seen.root:
                raise Wrong(
                    f"the log {key.name} was rewritten, or the witness lies: {seen.by} saw another root"
                )
        found.append((head, times))
    return found


def pieces(lines: Iterable[str]) -> Iterator[str]:
    """The notes in these lines, one in memory at a time: each ends behind its last signature line."""
    current: list[str] = []
    length = 0
    for line in lines:
        if current and current[-1].startswith(_DASH) and not line.startswith(_DASH):
            yield "\n".join(current) + "\n"
            current, length = [], 0
        if current or line:
            current.append(line)
            length += len(line) + 1
        if length > _NOTE_CHARACTERS_MAX:
            raise Wrong(f"a note is longer than {_NOTE_CHARACTERS_MAX} characters, which no log's is")
    if current:
        yield "\n".join(current) + "\n"


def lines_of(text: TextIO) -> Iterator[str]:
    """The lines of a file without their ends; one that is longer than any note comes in parts."""
    while line := text.readline(_NOTE_CHARACTERS_MAX):
        yield line.removesuffix("\n")


def said_when(times: Times) -> str:
    """The moments, as part of a verdict."""
    return "".join(f"; cosigned by {name} at {moment(at)}" for name, at in times)
