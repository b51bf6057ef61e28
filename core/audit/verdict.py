"""The verdict over an export of the audit log: that its events are the sealed ones, and who saw so many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO, Final, TextIO

from core.audit import export_lines
from core.audit.export_lines import first_bad, grown
from core.audit.heads import Seen, Times, Wrong, cosigned_at, lines_of, moment, pieces, said_when
from kernel import cosignature, encodings, merkle, note

WHOLE: Final = merkle.Frontier()
"""The tree in front of an export that begins with the first event."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was shown to hold."""

    events: int
    checkpoints: int
    root: bytes
    witnessed: int
    """So far reaches what a witness remembers; 0 where it says nothing of these events."""
    first: int = 0
    cosigned: Times = ()
    before: Times = ()
    """When witnesses had seen what lies in front of the export, and nothing of it."""


def verify(
    events: BinaryIO,
    *,
    checkpoints: TextIO,
    key: note.Verifier,
    witnesses: Sequence[Seen] = (),
    cosigners: Sequence[cosignature.Cosigner] = (),
    start: merkle.Frontier = WHOLE,
    leaves: BinaryIO | None = None,
    look: Callable[[bytes], object] | None = None,
) -> Verdict:
    """The verdict over a whole export; Wrong names the first fault. Reads the events once, as a stream, and
    those under the checkpoint that does not hold a second time; the checkpoints twice. `look` is shown each
    line.
    """
    notes = _survey(checkpoints, key, {start.size, *(seen.size for seen in witnesses)})
    last, marks = notes.last, notes.roots
    cosigned = tuple((by.name, _cosigned(last, notes.last_piece, by)) for by in cosigners)
    for seen in witnesses:
        if seen.size > last.size:
            raise Wrong(f"the log is shorter than witnessed: {last.size} events, {seen.by} saw {seen.size}")
        if marks.get(seen.size, seen.root) != seen.root:
            raise Wrong(_rewritten(seen))
        if seen.size == start.size:
            marks.setdefault(seen.size, seen.root)
    if start.size and marks.get(start.size) != start.root():
        raise Wrong(
            f"the tree in front of the export is not the one of the checkpoint at {start.size} events"
        )
    tree, lines = start, export_lines.lines(events)
    for head in _again(checkpoints, notes):
        if head.size < start.size:
            raise Wrong(
                f"the checkpoint at {head.size} events lies in front of the export's start, {start.size}"
            )
        behind, begins, between = tree, events.tell(), dict[int, bytes]()
        for stop in sorted({seen.size for seen in witnesses if tree.size < seen.size < head.size}):
            tree = grown(tree, lines, upto=stop, look=look)
            between[stop] = tree.root()
        tree = grown(tree, lines, upto=head.size, look=look)
        if tree.size != head.size or tree.root() != head.root:
            events.seek(begins)
            again = export_lines.lines(events)
            raise Wrong(first_bad(again, behind, head.size, head.root, leaves=leaves, start=start.size))
        for seen in witnesses:  # the events are those that the log signed: else it is they that are named
            if between.get(seen.size, seen.root) != seen.root:
                raise Wrong(_rewritten(seen))
    if tree.size == start.size:
        raise Wrong(f"there is no event: the export ends where it begins, at {start.size} events")
    if next(lines, None) is not None:
        raise Wrong(f"event {tree.size} is the first behind the last checkpoint: the tail is not sealed")
    before = _before(notes.first, notes.first_piece, cosigners) if start.size else ()
    witnessed = max((seen.size for seen in witnesses if seen.size > start.size), default=0)
    return Verdict(tree.size, notes.count, tree.root(), witnessed, start.size, cosigned, before)


def _rewritten(seen: Seen) -> str:
    return f"the log was rewritten, or the witness lies: {seen.by} saw another root at {seen.size} events"


def _cosigned(head: note.Checkpoint, piece: str, by: cosignature.Cosigner) -> int:
    """When the witness cosigned the last checkpoint."""
    try:
        return cosigned_at(head, piece, by)
    except note.BadNote as error:
        raise Wrong(f"the last checkpoint, at {head.size} events: {error}") from None


def _before(head: note.Checkpoint, piece: str, cosigners: Sequence[cosignature.Cosigner]) -> Times:
    """When witnesses cosigned the head in front of the export, as far as they did: none needs to have."""
    times = []
    for by in cosigners:
        try:
            times.append((by.name, cosigned_at(head, piece, by)))
        except note.BadNote:
            continue
    return tuple(times)


@dataclass(slots=True)
class _Notes:
    """What is kept of the signed notes: not each, for they may be many."""

    first: note.Checkpoint
    first_piece: str
    last: note.Checkpoint
    last_piece: str
    count: int = 0
    roots: dict[int, bytes] = field(default_factory=dict)
    read: Any = field(default_factory=sha256)


def _survey(checkpoints: TextIO, key: note.Verifier, sizes: Collection[int]) -> _Notes:
    """Every checkpoint read, its signature checked, sizes growing; the roots of these sizes, as far as they
    are sizes of checkpoints.
    """
    found: _Notes | None = None
    for number, piece in enumerate(pieces(lines_of(checkpoints))):
        try:
            head = note.Checkpoint.parse(note.open_note(piece, by=key))
        except note.BadNote as error:
            raise Wrong(f"checkpoint {number}: {error}") from None
        if head.origin != key.name:
            raise Wrong(f"checkpoint {number} is of another log: {head.origin}")
        if found is not None and head.size <= found.last.size:
            raise Wrong(f"checkpoint {number}: {head.size} events do not follow {found.last.size}")
        found = found or _Notes(head, piece, head, piece)
        found.last, found.last_piece, found.count = head, piece, number + 1
        found.read.update(piece.encode())
        if head.size in sizes:
            found.roots[head.size] = head.root
    if found is None:
        raise Wrong("there is no checkpoint, so nothing is sealed")
    return found


def _again(checkpoints: TextIO, notes: _Notes) -> Iterator[note.Checkpoint]:
    """The same checkpoints once more; Wrong at their end where they are not those that were checked."""
    checkpoints.seek(0)
    read = sha256()
    for piece in pieces(lines_of(checkpoints)):
        read.update(piece.encode())
        yield note.Checkpoint.parse(piece.rpartition("\n\n")[0] + "\n")
    if read.digest() != notes.read.digest():
        raise Wrong("the checkpoints changed while they were read")


def told(verdict: Verdict) -> str:
    """The verdict in one line."""
    said = f"OK {verdict.events - verdict.first} events"
    if verdict.first:
        said += f" ({verdict.first} to {verdict.events - 1}"
        if verdict.before:
            said += f"; those in front were seen by {moment(max(at for _, at in verdict.before))}"
        elif verdict.cosigned:
            said += "; no witness says by when those in front were seen"
        said += ")"
    said += f" under {verdict.checkpoints} checkpoints, root {encodings.base64_standard(verdict.root)}"
    said += said_when(verdict.cosigned)
    if verdict.witnessed:
        said += f"; a witness remembers {verdict.witnessed}"
    else:
        said += "; no witness's memory of it given, so a log that was cut back would pass"
    if not verdict.cosigned and not verdict.witnessed:
        said += ", and one that was signed anew"
    return said
