"""The offline audit verifier: an export, the log's checkpoints and its public key in, a verdict out.

    python -m core.audit.verifier EVENTS.jsonl --checkpoints FILE --key FILE [--witness FILE] [--leaves FILE]

EVENTS.jsonl holds one event per line, the canonical text exactly as it was sealed, in leaf order.
FILE of --checkpoints holds signed notes one after the other, smallest tree first, with empty lines between.
FILE of --key holds one verifier key (`name+hash+base64`); the name is the log's origin.
FILE of --witness holds what a witness last saw: `size base64-root`, one line. Give it: without a witness,
  nobody can tell a log that was cut back or rewritten with its stolen key from a younger, honest one.
FILE of --leaves holds the leaf hashes as the witness or an earlier export kept them, 32 bytes each. With them
  a changed event is named exactly; without them, the span between two checkpoints is.

Exit code 0: every event is under the last checkpoint and every checkpoint holds. 1: something is wrong, and
the first bad event is named. 2: the files cannot be read. It needs no Django, no database and no network.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from kernel import canonical, encodings, merkle, note

_DASH: Final = "\N{EM DASH}"


class Wrong(Exception):
    """The log does not hold; the text names the first fault."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was shown to hold."""

    events: int
    checkpoints: int
    root: bytes
    witnessed: bool


def verify(
    events: BinaryIO,
    *,
    checkpoints: str,
    key: note.Verifier,
    witness: tuple[int, bytes] | None = None,
    leaves: bytes | None = None,
) -> Verdict:
    """The verdict over a whole export; Wrong names the first fault. Reads the events once, as a stream."""
    heads = _heads(checkpoints, key)
    if not heads:
        raise Wrong("there is no checkpoint, so nothing is sealed")
    marks = {head.size: head.root for head in heads}
    if witness is not None:
        size, root = witness
        if size > heads[-1].size:
            raise Wrong(f"the log is shorter than witnessed: {heads[-1].size} events, the witness saw {size}")
        if marks.setdefault(size, root) != root:
            raise Wrong(f"the log was rewritten: the witness saw another root at {size} events")
    tree, lines = merkle.Frontier(), iter(events)
    for size in sorted(marks):
        batch = _read(lines, size - tree.size, start=tree.size)
        grown = tree.extended(_leaf_hashes(batch))
        if grown.root() != marks[size]:
            raise Wrong(_first_bad(batch, tree=tree, size=size, root=marks[size], leaves=leaves))
        tree = grown
    if next(lines, None) is not None:
        raise Wrong(f"event {tree.size} is the first behind the last checkpoint: the tail is not sealed")
    return Verdict(tree.size, len(heads), tree.root(), witness is not None)


def _heads(text: str, key: note.Verifier) -> list[note.Checkpoint]:
    """Every checkpoint, its signature checked, sizes growing."""
    heads: list[note.Checkpoint] = []
    for number, piece in enumerate(_notes(text)):
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


def _notes(text: str) -> Iterator[str]:
    """Split the file: a note ends behind its last signature line."""
    lines = text.split("\n")
    current: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not current and not line:
            continue
        current.append(line)
        if line.startswith(_DASH) and not following.startswith(_DASH):
            yield "\n".join(current) + "\n"
            current = []
    if current:
        yield "\n".join(current) + "\n"


def _read(lines: Iterator[bytes], count: int, *, start: int) -> list[bytes]:
    batch = list(islice(lines, count))
    if batch and not batch[-1].endswith(b"\n"):  # only a file's last line can lack its end
        raise Wrong(f"event {start + len(batch) - 1} is cut off: its line has no end")
    if len(batch) < count:
        raise Wrong(f"event {start + len(batch)} is missing: a checkpoint covers {start + count} events")
    return batch


def _leaf_hashes(batch: Sequence[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + line[:-1]).digest() for line in batch]


def _first_bad(
    batch: Sequence[bytes], *, tree: merkle.Frontier, size: int, root: bytes, leaves: bytes | None
) -> str:
    """Name the first bad event as narrowly as the evidence allows."""
    first = tree.size
    if leaves is not None and len(leaves) >= size * merkle.HASH_BYTES:
        known = [leaves[i * merkle.HASH_BYTES :][: merkle.HASH_BYTES] for i in range(first, size)]
        if tree.extended(known).root() == root:
            found = _leaf_hashes(batch)
            place = next(i for i, (kept, now) in enumerate(zip(known, found, strict=True)) if kept != now)
            return f"event {first + place} is not the one that was sealed"
    for place, line in enumerate(batch):
        try:
            canonical.decode_object(line[:-1])
        except canonical.NotCanonical as error:
            return f"event {first + place} is not canonical, so it was not written by the log: {error}"
    if len(batch) == 1:
        return f"event {first} is not the one that was sealed"
    return f"one of the events {first} to {size - 1} was changed, removed, added or moved (give --leaves)"


def _parse_witness(text: str) -> tuple[int, bytes]:
    parts = text.split()
    if len(parts) != 2 or not parts[0].isdecimal():
        raise ValueError("a witness file holds `size base64-root`")
    return int(parts[0]), encodings.from_base64_standard(parts[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program; the exit code is the verdict."""
    parser = argparse.ArgumentParser(prog="audit-verify", description="Check an audit export offline.")
    parser.add_argument("events", type=Path, help="the events, one canonical text per line")
    parser.add_argument("--checkpoints", type=Path, required=True, help="the signed notes")
    parser.add_argument("--key", type=Path, required=True, help="the log's verifier key")
    parser.add_argument("--witness", type=Path, help="the size and root that a witness last saw")
    parser.add_argument("--leaves", type=Path, help="leaf hashes kept elsewhere, 32 bytes each")
    options = parser.parse_args(arguments)
    try:
        key = note.Verifier.parse(options.key.read_text(encoding="utf-8"))
        checkpoints = options.checkpoints.read_text(encoding="utf-8")
        witness = _parse_witness(options.witness.read_text(encoding="utf-8")) if options.witness else None
        leaves = options.leaves.read_bytes() if options.leaves else None
        with options.events.open("rb") as events:
            verdict = verify(events, checkpoints=checkpoints, key=key, witness=witness, leaves=leaves)
    except Wrong as fault:
        print(f"FAIL {fault}")
        return 1
    except (OSError, ValueError) as error:
        print(f"UNREADABLE {error}", file=sys.stderr)
        return 2
    print(
        f"OK {verdict.events} events under {verdict.checkpoints} checkpoints, "
        f"root {encodings.base64_standard(verdict.root)}"
        + ("" if verdict.witnessed else "; no witness given, so a log cut back or re-signed would pass")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
