"""Exports for the offline verifier: events in leaf order, checkpoints with their cosignatures, and the key.

An export covers whole spans between checkpoints: it begins at one and ends at one, so that its first event
and its last are proven by what it contains. It reads in pages, and holds nothing back in memory, nor a
cursor: that of a reading which broke off is closed when memory is cleared up, maybe in the middle of the next
question to the same session, which then waits for itself for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from django.db.models import F

from core.audit import cosigned, mentions, tree
from core.audit.domain.reading import found_by
from core.audit.models import AuditCheckpoint, AuditEvent, key_of, number_of
from core.refusals import NotFound, Refused
from kernel import encodings, note

PAGE: Final = 5000
TEXTS: Final = 500
"""Read at once: a page of the longest ones would need gigabytes."""
STEP_S: Final = 0.5
LATEST_SEALING: Final = timedelta(hours=1)
"""An act's transaction ends by time-out within seconds, and clocks are not this far apart: an event of a time
is sealed within this of it, unless the sealer was down."""


class BadSpan(Refused):
    """The time that was asked for is none."""

    code = "bad_span"
    status = 400


@dataclass(frozen=True, slots=True)
class Span:
    """Events from `first` to behind `end`, both of them sizes of checkpoints."""

    first: int
    end: int
    frontier: tuple[str, ...] = ()


def span(*, since: datetime | None, until: datetime | None, by: cosigned.Cosigners = ()) -> Span:
    """A span of whole checkpoints that holds every event of that time; NotFound if none is sealed, BadSpan.

    It begins and ends at checkpoints that all those witnesses have cosigned, if there are such: others may be
    passed over by them, and the newest of all may be a moment too young.
    """
    if since and until and since >= until:
        raise BadSpan("Nothing was exported: the time ends before it begins.")
    heads = AuditCheckpoint.objects.defer("hashes").order_by("size")
    enough = _behind(until) if until else None
    least = enough.size if enough else None
    end = cosigned.checkpoint(by, of=_origin(), least=least) or enough or heads.last()
    if end is None:
        raise NotFound("Nothing was exported: no event is sealed yet. Sam can look at the sealer.")
    first = None
    if since:
        # The first that may hold any, not the last that holds none: the sealer's clock may have gone back. By
        # a sum, or the server would walk through all that lie in front of the time.
        within = heads.filter(sealed_at__gte=since - LATEST_SEALING).order_by(F("size") + 0).first()
        first = heads.filter(size__lt=min(within.size, end.size) if within else end.size).last()
        # One that they saw shows that what lies in front is older than the time: the verifier says so.
        first = first and (cosigned.checkpoint(by, of=_origin(), most=first.size) or first)
    return Span(first.size, end.size, tuple(first.frontier)) if first else Span(0, end.size)


def lacking(reach: int, *, by: cosigned.Cosigners, within_s: float) -> str:
    """Nothing, once an export holds so many events; after that time, who has not cosigned them.

    It may take a moment, since heads are carried to one witness after the other. But what one of them saw an
    export must hold, or nobody could tell it from that of a log that was cut back.
    """
    until = time.monotonic() + within_s
    while (end := span(since=None, until=None, by=by).end if reach else 0) < reach:
        if time.monotonic() > until:
            newest = {one.name: cosigned.newest_size(one, of=_origin()) for one in by} or {"the sealer": end}
            few = (f"{name} {size} of {reach} events" for name, size in newest.items() if size < reach)
            return ", ".join(few) or f"no checkpoint of {reach} events by all"
        time.sleep(STEP_S)
    return ""


def _behind(until: datetime) -> AuditCheckpoint | None:
    """The first checkpoint behind which no event of that time lies; None if that is not sure of any.

    After a sealer that was down, several are sealed at once: then the events say how far it has come.
    """
    limit = until + LATEST_SEALING
    heads = AuditCheckpoint.objects.defer("hashes").order_by("size")
    early = heads.filter(sealed_at__lt=limit).last()
    for head in heads.filter(size__gt=early.size if early else 0).iterator():
        row = AuditEvent.texts.filter(pk=key_of(head.last_id)).first()
        at = found_by(row.canon, act=row.act).at if row else None
        if at is not None and at >= limit:
            return head
    return None


def times(of: Span) -> Iterator[tuple[int, datetime, datetime]]:
    """Of each checkpoint of the span its size, and between which times the events say to be that it added.

    What was not sealed by the one before had not happened then, or hardly.
    """
    heads = AuditCheckpoint.objects.filter(size__lte=of.end).order_by("size").values_list("size", "sealed_at")
    before, behind = datetime.min.replace(tzinfo=UTC), of.first - 1
    while some := list(heads.filter(size__gt=behind)[:PAGE]):
        for size, sealed_at in some:
            if size > of.first:
                yield size, before, sealed_at + LATEST_SEALING
            before = sealed_at - LATEST_SEALING
        behind = some[-1][0]


def texts(of: Span) -> Iterator[tuple[int, str | None]]:
    """Leaf index and canonical text of each event, in order; None for one that was removed since its seal."""
    heads = AuditCheckpoint.objects.filter(size__in=(of.first, of.end)).values_list("size", "last_id")
    ends, index = dict(heads), of.first
    for page in _pages(mentions.batches(ends.get(of.first, 0), ends[of.end])):
        for begin in range(0, len(page), TEXTS):
            some = page[begin : begin + TEXTS]
            rows = AuditEvent.texts.behind(some[0] - 1).before(some[-1] + 1)
            kept = {number_of(tx, n): canon for tx, n, canon in rows.values_list("tx", "n", "canon")}
            yield from ((index + at, kept.get(event)) for at, event in enumerate(some, begin))
        index += len(page)


def lines(of: Span) -> Iterator[str]:
    """The texts, a line each. One that would be several lines, which no text of ours is, stands in base64."""
    for _, text in texts(of):
        if text is None:
            continue
        plain = "\n" not in text and not text.startswith("=")
        yield (text if plain else "=" + encodings.base64_standard(text.encode())) + "\n"


def _pages(batches: Iterable[list[int]]) -> Iterator[list[int]]:
    """Neighbouring batches together, so that small ones do not cost a question each."""
    page: list[int] = []
    for batch in batches:
        if page and len(page) + len(batch) > PAGE:
            yield page
            page = []
        page += batch
    if page:
        yield page


def notes(of: Span, *, by: cosigned.Cosigners = ()) -> Iterator[str]:
    """Each signed note of the span, with the newest line of each of these witnesses under the log's own."""
    origin = _origin()
    heads = AuditCheckpoint.objects.filter(size__lte=of.end).order_by("size").values_list("size", "note")
    behind = of.first - 1
    while some := list(heads.filter(size__gt=behind)[:PAGE]):
        lines = cosigned.under(some, of=origin, by=by, first=of.first)
        yield from (text + "".join(f"{line}\n" for line in lines.get(size, ())) for size, text in some)
        behind = some[-1][0]


def other_heads(by: cosigned.Cosigners) -> Iterator[str]:
    """The newest head of each other log that was cosigned by every one of these that ever cosigned it."""
    return cosigned.other_heads(by, beside=_origin())


def _origin() -> str:
    """The log's name, as its own checkpoints say it."""
    first = AuditCheckpoint.objects.values_list("note", flat=True).first()
    return first.partition("\n")[0] if first else ""


def write(
    folder: Path, verifier: note.Verifier, of: Span, *, by: cosigned.Cosigners = ()
) -> tuple[Path, ...]:
    """Write `events.jsonl`, `leaves.bin`, `checkpoints.txt`, `key.txt`, `logs.txt`; of a span, `start.txt`.

    `leaves.bin` holds the leaf hashes as they were sealed, so that the verifier names the very event that was
    changed since; `logs.txt` the newest cosigned head of each trusted program's own log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    events, checkpoints, key = folder / "events.jsonl", folder / "checkpoints.txt", folder / "key.txt"
    start = folder / "start.txt"
    with events.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines(of))
    with (folder / "leaves.bin").open("wb") as hashes:
        hashes.writelines(tree.leaves(of.first, of.end))
    with checkpoints.open("w", encoding="utf-8", newline="\n") as file:
        for number, text in enumerate(notes(of, by=by)):
            file.write(f"\n{text}" if number else text)
    key.write_text(f"{verifier}\n", encoding="utf-8")
    (folder / "logs.txt").write_text("\n".join(other_heads(by)), encoding="utf-8")
    if not of.first:
        start.unlink(missing_ok=True)
        return events, checkpoints, key
    start.write_text(start_of(of), encoding="utf-8")
    return events, checkpoints, key, start


def start_of(of: Span) -> str:
    """The tree in front of the span, as the verifier takes it."""
    nodes = [encodings.base64_standard(bytes.fromhex(node)) for node in of.frontier]
    return "\n".join([str(of.first), *nodes]) + "\n"
