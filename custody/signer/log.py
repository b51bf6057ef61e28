"""The journal as a log that others watch: a Merkle tree over its lines, whose heads witnesses cosign.

A signer cannot tell by itself that its folder and its token were both put back to yesterday. Witnesses can:
they never cosign a smaller or another tree than one they have seen. So where the registry names witnesses, a
signer writes a fresh random line at each start, and spends nothing before it is shown a head that contains
this line and that enough witnesses have cosigned. Nobody can have prepared one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from custody.signer.refusals import Refused
from kernel import canonical, cosignature, note
from kernel.pinned import Witnesses

LINES_MAX: Final = 500
LINES_BYTES_MAX: Final = 100_000  # escaped as text inside an answer, still within one frame
CLOCKS_APART_S: Final = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """A head of this log that enough witnesses have cosigned, and when the slowest of them did."""

    head: note.Checkpoint
    at: int


def origin(deployment: str, token: str, branch: str) -> str:
    """The log's name; where officers reopened a signer that had lost lines, a new log begins."""
    return f"{deployment}/signer/{token}" + (f"/{branch}" if branch else "")


def read_cosigned(text: canonical.Value, *, by: note.Verifier, witnesses: Witnesses, now_s: float) -> Seen:
    """The head in a note that this signer's key signed and enough witnesses cosigned lately; else Refused."""
    head = read_head(text, by=by)
    times: list[int] = []
    for key in witnesses.keys:
        try:
            at = cosignature.check(head.text(), cosignature.lines_of(str(text)), by=key)
        except note.BadNote:
            continue
        if now_s - witnesses.age_s_max <= at <= now_s + CLOCKS_APART_S:
            times.append(at)
    if len(times) < witnesses.quorum:
        why = f"{len(times)} fresh cosignatures, {witnesses.quorum} are needed"
        raise Refused("SIGNER_BAD_COSIGNATURE", why)
    return Seen(head, sorted(times, reverse=True)[witnesses.quorum - 1])


def read_head(text: canonical.Value, *, by: note.Verifier) -> note.Checkpoint:
    """The head in a note that this signer's own key signed; Refused otherwise."""
    try:
        head = note.Checkpoint.parse(note.open_note(str(text), by=by))
    except note.BadNote as error:
        raise Refused("SIGNER_BAD_COSIGNATURE", str(error)) from None
    if head.origin != by.name:
        raise Refused("SIGNER_BAD_COSIGNATURE", "the head is another log's")
    return head
