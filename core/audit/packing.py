"""An export as one stream of bytes, for a browser: nothing is held in memory or on a disk."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from django.conf import settings

from core.audit import exporting, ocsf, tree, witnesses
from core.audit.domain.reading import found_by
from core.audit.writing import timestamp

PIECE: Final = 64 * 1024


def whole(span: exporting.Span, since: datetime | None, until: datetime | None) -> Iterator[bytes]:
    """What the verifier needs, as a ZIP file: the same files as the command writes."""
    drain = _Drain()
    texts = exporting.lines(span)
    by = witnesses.keys(settings.AUDIT_WITNESSES_FILE)
    heads = (f"\n{text}" if number else text for number, text in enumerate(exporting.notes(span, by=by)))
    files: list[tuple[str, Iterable[str]]] = [
        ("events.jsonl", texts),
        ("checkpoints.txt", heads),
        ("logs.txt", iter(["\n".join(exporting.other_heads(by))])),
        ("key.txt", iter([settings.AUDIT_KEY_FILE.read_text(encoding="utf-8")])),
    ]
    if span.first:
        files.append(("start.txt", iter([exporting.start_of(span)])))
    hashes = tree.leaves(span.first, span.end)
    with zipfile.ZipFile(drain, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, lines in files:
            with archive.open(name, "w", force_zip64=True) as file:
                for line in lines:
                    file.write(line.encode())
                    if drain.length > PIECE:
                        yield drain.take()
        with archive.open("leaves.bin", "w", force_zip64=True) as file:
            for piece in hashes:
                file.write(piece)
                if drain.length > PIECE:
                    yield drain.take()
    yield drain.take()


def ocsf_lines(span: exporting.Span, since: datetime | None, until: datetime | None) -> Iterator[bytes]:
    """One OCSF object per event of exactly that time, a line each; whatever stands in the log as an event.

    What names no time, or one at which its place in the log says that it was not written, belongs to every
    time, and so does what was removed since it was sealed: nobody keeps an event out of sight by its date.
    """
    first, end = timestamp(since) if since else "", timestamp(until) if until else "9"
    times, size = exporting.times(span), span.first
    for index, text in exporting.texts(span):
        while index >= size:
            size, earliest, latest = next(times)
        at = found_by(text, act=None).at if text is not None else None
        if at is None or not earliest <= at <= latest or first <= timestamp(at) < end:
            yield ocsf.line(text, at=at, index=index, log=settings.AUDIT_ORIGIN)


class _Drain:
    """A file that can only be written to, and is emptied as it fills."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.length = 0

    def write(self, data: bytes) -> int:
        """Keep it until it is taken."""
        self._pieces.append(bytes(data))
        self.length += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing lies elsewhere."""

    def take(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.length = 0
        return data
