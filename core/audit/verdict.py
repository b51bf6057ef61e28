"""The verdict over an export of the audit log: that its events are the sealed ones, and who saw so many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from core.audit import export_lines
from core.audit.export_lines import first_bad, grown
from core.audit.heads import Seen, Times, Wrong, cosigned_at, moment, pieces, said_when
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
    checkpoints: str,
    key: note.Verifier,
    witnesses: Sequence[Seen] = (),
    cosigners: Sequence[cosignature.Cosigner] = (),
    start: merkle.Frontier = WHOLE,
    leaves: BinaryIO | None = None,
    look: Callable[[bytes], object] | None = None,
) -> Verdict:
    """The verdict over a whole export; Wrong names the first fault. Reads the events once, as a stream, and
    those under the checkpoint that does not hold a second time. `look` is shown each line.
    """
    notes = list(pieces(checkpoints))
    heads = _heads(notes, key)
    if not heads:
        raise Wrong("there is no checkpoint, so nothing is sealed")
    cosigned = tuple((by.name, _cosigned(heads[-1], notes[-1], by)) for by in cosigners)
    marks = {head.size: head.root for head in heads}
    for seen in witnesses:
        if seen.size > heads[-1].size:
            raise Wrong(
                f"the log is shorter than witnessed: {heads[-1].size} events, {seen.by} saw {seen.size}"
            )
        if marks.get(seen.size, seen.root) != seen.root:
            raise Wrong(_rewritten(seen))
        if seen.size == start.size:
            marks.setdefault(seen.size, seen.root)
    if start.size and marks.get(start.size) != start.root():
        raise Wrong(
            f"the tree in front of the export is not the one of the checkpoint at {start.size} events"
        )
    tree, lines = start, export_lines.lines(events)
    for head in heads:
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
    before = _before(heads[0], notes[0], cosigners) if start.size else ()
    witnessed = max((seen.size for seen in witnesses if seen.size > start.size), default=0)
    return Verdict(tree.size, len(heads), tree.root(), witnessed, start.size, cosigned, before)


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


def _heads(notes: Sequence[str], key: note.Verifier) -> list[note.Checkpoint]:
    """Every checkpoint, its signature checked, sizes growing."""
    heads: list[note.Checkpoint] = []
    for number, piece in enumerate(notes):
        try:
            head = note.Checkpoint.parse(note.open_note(piece, by=key))
        except note.BadNote as error:
            raise Wrong(f"checkpoint {number}: {error}") from None
        if head.origin != key.name:
            raise Wrong(f"checkpoint {number} is of another log: {head.origin}")
        if heads and head.size <= heads[-1].size:
            raise Wrong(f"checkpoint {number}: {head.size} events do not follow {heads[-1].size}")
        heads.append(head)
    return heads


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
