"""Exports for the offline verifier: events in leaf order, checkpoints with their cosignatures, and the key.

An export covers whole spans between checkpoints: it begins at one and ends at one, so that its first event
and its last are proven by what it contains. It reads in pages and holds nothing back in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.db.models import Count

from core.audit import mentions, tree, witnesses
from core.audit.models import AuditCheckpoint, AuditCosignature, AuditEvent, number_of
from core.refusals import NotFound
from kernel import encodings, note

PAGE: Final = 5000
LATEST_SEALING: Final = timedelta(hours=1)
"""An act's transaction ends by time-out within seconds, so its event is sealed well within this."""


@dataclass(frozen=True, slots=True)
class Span:
    """Events from `first` to behind `end`, both of them sizes of checkpoints."""

    first: int
    end: int
    frontier: tuple[str, ...] = ()


def span(*, since: datetime | None, until: datetime | None, among: Sequence[witnesses.Witness] = ()) -> Span:
    """The smallest span of whole checkpoints that holds every event of that time; NotFound if none is sealed.

    It ends at a checkpoint that all those witnesses have cosigned, if there is one: the newest of all may be
    a moment too young.
    """
    heads = AuditCheckpoint.objects.order_by("size")
    end = heads.filter(sealed_at__gte=until + LATEST_SEALING).first() if until else None
    end = end or _cosigned(among) or heads.last()
    if end is None:
        raise NotFound("Nothing was exported: no event is sealed yet. Sam can look at the sealer.")
    first = heads.filter(sealed_at__lt=since, size__lt=end.size).last() if since else None
    return Span(first.size, end.size, tuple(first.frontier)) if first else Span(0, end.size)


def texts(of: Span) -> Iterator[tuple[int, str]]:
    """Leaf index and canonical text of each event, in order."""
    heads = AuditCheckpoint.objects.filter(size__in=(of.first, of.end)).values_list("size", "last_id")
    ends, index = dict(heads), of.first
    for page in _pages(mentions.batches(ends.get(of.first, 0), ends[of.end])):
        rows = AuditEvent.texts.behind(page[0] - 1).before(page[-1] + 1)
        kept = {number_of(tx, n): canon for tx, n, canon in rows.values_list("tx", "n", "canon")}
        yield from ((at, kept[event]) for at, event in enumerate(page, index) if event in kept)
        index += len(page)


def lines(of: Span) -> Iterator[str]:
    """The texts, a line each. One that would be several lines, which no text of ours is, stands in base64."""
    for _, text in texts(of):
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


def notes(of: Span) -> Iterator[str]:
    """Each signed note of the span, with the newest line of each witness under the log's own."""
    rows = AuditCosignature.objects.filter(log=_origin())
    rows = rows.order_by("size", "witness", "-at").distinct("size", "witness")
    heads = AuditCheckpoint.objects.filter(size__lte=of.end).order_by("size").values_list("size", "note")
    behind = of.first - 1
    while some := list(heads.filter(size__gt=behind)[:PAGE]):
        lines: dict[int, str] = {}
        for size, line in rows.filter(size__gt=behind, size__lte=some[-1][0]).values_list("size", "line"):
            lines[size] = lines.get(size, "") + f"{line}\n"
        yield from (text + lines.get(size, "") for size, text in some)
        behind = some[-1][0]


def other_heads() -> Iterator[str]:
    """The newest head of each other log that was cosigned by every witness which ever cosigned that log."""
    rows = AuditCosignature.objects.exclude(log=_origin())
    for name in rows.order_by("log").values_list("log", flat=True).distinct():
        mine = rows.filter(log=name)
        everybody = mine.values("witness").distinct().count()
        sizes = mine.values("size").annotate(many=Count("witness", distinct=True)).filter(many=everybody)
        size = sizes.order_by("-size").values_list("size", flat=True).first()
        if size is not None:
            under = list(mine.filter(size=size).order_by("at"))
            lines = {row.witness: row.line for row in under if row.note == under[-1].note}
            yield under[-1].note + "".join(f"{lines[witness]}\n" for witness in sorted(lines))


def _origin() -> str:
    """The log's name, as its own checkpoints say it."""
    first = AuditCheckpoint.objects.values_list("note", flat=True).first()
    return first.partition("\n")[0] if first else ""


def write(folder: Path, verifier: note.Verifier, of: Span) -> tuple[Path, ...]:
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
        for number, text in enumerate(notes(of)):
            file.write(f"\n{text}" if number else text)
    key.write_text(f"{verifier}\n", encoding="utf-8")
    (folder / "logs.txt").write_text("\n".join(other_heads()), encoding="utf-8")
    if not of.first:
        start.unlink(missing_ok=True)
        return events, checkpoints, key
    start.write_text(start_of(of), encoding="utf-8")
    return events, checkpoints, key, start


def start_of(of: Span) -> str:
    """The tree in front of the span, as the verifier takes it."""
    nodes = [encodings.base64_standard(bytes.fromhex(node)) for node in of.frontier]
    return "\n".join([str(of.first), *nodes]) + "\n"


def _cosigned(among: Sequence[witnesses.Witness]) -> AuditCheckpoint | None:
    """The newest checkpoint that each of these witnesses has cosigned."""
    sizes: set[int] | None = None
    for witness in among:
        rows = AuditCosignature.objects.filter(log=_origin(), witness=witness.cosigner.name).order_by("-size")
        mine = set(rows.values_list("size", flat=True)[:1000])
        sizes = mine if sizes is None else sizes & mine
    return AuditCheckpoint.objects.filter(size=max(sizes)).first() if sizes else None
