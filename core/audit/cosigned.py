"""Which heads witnesses have cosigned: believed are the lines that their keys signed, and no row.

Whoever has the worker's database role writes rows beside the checkpoints as they like. One that its witness
did not sign counts for nothing, keeps no true one from counting, and leaves with no export; it is counted
where it is met.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from core.audit import sources
from core.audit.models import AuditCheckpoint, AuditCosignature
from kernel import cosignature, note

log = logging.getLogger(__name__)

TRIED: Final = 1000
"""Rows, or sizes, that one question looks through; more in a row are only false ones."""
NEWEST: Final = 500
FURTHER: Final = 100
FALSE_ROWS: Final = 10
"""Of each stretch. Where there are more in front of a true one, it is left out: no verdict rests on it."""
Cosigners = Sequence[cosignature.Cosigner]


class Line(NamedTuple):
    """A signature line that holds, when the witness signed it, and the note that it stands under."""

    text: str
    at: datetime
    size: int
    note: str


def line(row: AuditCosignature, *, by: cosignature.Cosigner, under: str = "") -> Line | None:
    """The row's line, if that witness signed it under the head that the row names; `under` is that head's
    note where it is known from elsewhere.
    """
    signed = under or row.note
    text = text_of(signed)
    try:
        head = note.Checkpoint.parse(text)
        at = datetime.fromtimestamp(cosignature.check(text, [row.line], by=by), UTC)
    except (ValueError, OverflowError):
        return None
    return Line(row.line, at, row.size, signed) if (head.origin, head.size) == (row.log, row.size) else None


def newest(
    rows: QuerySet[AuditCosignature], *, by: cosignature.Cosigner, under: str = ""
) -> tuple[Line | None, int]:
    """The newest line of that witness among the rows, and how many false rows stand in front of it."""
    false = 0
    for row in rows.filter(witness=by.name).order_by("-size", "-at")[:TRIED].iterator():
        if found := line(row, by=by, under=under):
            return found, false
        false += 1
    return None, false


def under(
    heads: Sequence[tuple[int, str]], *, of: str, by: Cosigners, first: int = 0
) -> dict[int, list[str]]:
    """The newest line of each of these witnesses under each of these neighbouring heads of that log; the
    oldest under the one of size `first`: it shows best how old what lies in front of an export is.
    """
    known, notes = {one.name: one for one in by}, dict(heads)
    rows = AuditCosignature.objects.filter(log=of, witness__in=known)
    rows = rows.filter(size__gte=heads[0][0], size__lte=heads[-1][0]).order_by("size", "witness", "-at")
    found: dict[int, dict[str, str]] = {}
    false: Counter[str] = Counter()
    for row in rows.iterator():
        lines = found.setdefault(row.size, {})
        if (row.witness in lines and row.size != first) or row.size not in notes:
            continue
        if one := line(row, by=known[row.witness], under=notes[row.size]):
            lines[row.witness] = one.text
        else:
            false[row.witness] += 1
    for name, count in false.items():
        log.error("%s rows under heads of %s name %s, which did not sign them: left out", count, of, name)
    return {size: list(lines.values()) for size, lines in found.items()}


def checkpoint(
    by: Cosigners, *, of: str, least: int | None = None, most: int | None = None
) -> AuditCheckpoint | None:
    """The newest checkpoint that each of these witnesses has cosigned, of at most that size; or the first of
    at least that size.
    """
    if not by:
        return None
    heads = AuditCheckpoint.objects.filter(size=OuterRef("size"))
    rows = AuditCosignature.objects.filter(Exists(heads), log=of, witness=by[0].name)
    rows = rows.order_by("-size") if least is None else rows.filter(size__gte=least).order_by("size")
    rows = rows if most is None else rows.filter(size__lte=most)
    for size in rows.distinct("size").values_list("size", flat=True)[:TRIED].iterator():
        head = AuditCheckpoint.objects.defer("hashes").get(size=size)
        if len(under([(size, head.note)], of=of, by=by).get(size, ())) == len(by):
            return head
    return None


def newest_size(by: cosignature.Cosigner, *, of: str) -> int:
    """How many entries of that log the witness has cosigned, as far as we were told."""
    found = newest(AuditCosignature.objects.filter(log=of), by=by)[0]
    return found.size if found else 0


def other_heads(by: Cosigners, *, beside: str) -> Iterator[str]:
    """The newest head of each other log that all of these witnesses cosigned which ever cosigned that log; in
    front of it older ones, without witnesses' lines: they narrow down which line of the log is bad.
    """
    keys = {one.log.name: one.log for one in sources.read(settings.WATCHED_LOGS_FILE)}
    rows = AuditCosignature.objects.exclude(log=beside)
    for name in rows.order_by("log").values_list("log", flat=True).distinct():
        mine = rows.filter(log=name)
        everybody = [one for one in by if newest(mine, by=one)[0]]
        # No key is at hand of a log that is not watched any more: of its own line the form is looked at.
        key = keys.get(name) or note.Verifier(name, bytes(32))
        for size in _sizes(mine, everybody):
            text = _head(mine.filter(size=size), everybody, key, is_known=name in keys)
            if text is not None:
                if name in keys:
                    yield from _older(mine.filter(size__lt=size), key)
                yield text
                break


def _older(rows: QuerySet[AuditCosignature], key: note.Verifier) -> list[str]:
    """Notes of these rows that the log's key signed, one of each size, the smallest first: the newest heads,
    and one of each of so many equal stretches of the log in front of these, however old it is.
    """
    found: dict[int, str] = {}
    pairs = rows.order_by("-size", "note").distinct("size", "note").values_list("size", "note")
    newest = list(pairs[:NEWEST])
    for size, text in newest:
        if size not in found and _is_note(text, key, is_known=True):
            found[size] = text
    least = newest[-1][0] if newest else 0
    for part in range(FURTHER):
        stretch = range(least * part // FURTHER, least * (part + 1) // FURTHER)
        for size, text in pairs.filter(size__gte=stretch.start, size__lt=stretch.stop)[:FALSE_ROWS]:
            if _is_note(text, key, is_known=True):
                found[size] = text
                break
    return [found[size] for size in sorted(found)]


def _sizes(rows: QuerySet[AuditCosignature], by: Cosigners) -> Iterable[int]:
    if not by:
        return ()
    mine = rows.filter(witness=by[0].name).order_by("-size").distinct("size")
    return mine.values_list("size", flat=True)[:TRIED]


def _head(
    rows: QuerySet[AuditCosignature], by: Cosigners, key: note.Verifier, *, is_known: bool
) -> str | None:
    """The note of one size with a line of each of these witnesses, if all have cosigned the same."""
    for row in rows.filter(witness=by[0].name).order_by("-at")[:TRIED]:
        if not line(row, by=by[0]) or not _is_note(row.note, key, is_known=is_known):
            continue
        lines = [newest(rows, by=one, under=row.note)[0] for one in by]
        if None not in lines:
            return row.note + "".join(f"{found.text}\n" for found in lines if found)
    return None


def _is_note(text: str, key: note.Verifier, *, is_known: bool) -> bool:
    try:
        note.open_note(text, by=key)
    except note.NotSigned:
        return not is_known
    except note.BadNote:
        return False
    return True


def text_of(signed: str) -> str:
    """What a note says, without its signature lines."""
    return signed.rpartition("\n\n")[0] + "\n"
