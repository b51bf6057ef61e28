"""Where sealed events are found: for each batch and each term in it, the numbers of the events that have it.

A batch is what one checkpoint added; it is named by its last event. In a full batch few actions and actors
are shared by many events, so that most events cost one row, and one entry of the only index. What a term says
is only where to look: searches read the events themselves.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection

from core.audit.domain.reading import EVERYTHING
from core.audit.models import AuditMention

_BYTES: Final = 8
_PAGE: Final = 500
_NEWEST: Final = 2**63 - 1
_KEEP: Final = "COPY audit_mention (term, last_id, events) FROM STDIN"
_PLAIN: Final = re.compile(r"[^\\\t\n\r]*").fullmatch
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
# The newest batches of each term, of those the newest; where several are asked for, batches that have all.
_FIND: Final = """
SELECT found.last_id, found.events FROM unnest(%s::text[]) AS asked(term) CROSS JOIN LATERAL (
  SELECT last_id, events FROM audit_mention AS one WHERE term = asked.term AND last_id < %s {also}
  ORDER BY last_id DESC LIMIT %s) AS found
ORDER BY found.last_id DESC LIMIT %s
"""
_ALSO: Final = "AND EXISTS (SELECT FROM audit_mention WHERE last_id = one.last_id AND term = ANY(%s::text[]))"
# The index is walked from one different term to the next: names are few, mentions many.
_NAMES: Final = """
WITH RECURSIVE name(term) AS (
  (SELECT term FROM audit_mention WHERE term >= %s ORDER BY term LIMIT 1)
  UNION ALL
  SELECT (SELECT one.term FROM audit_mention AS one WHERE one.term > name.term ORDER BY one.term LIMIT 1)
  FROM name WHERE starts_with(name.term, %s))
SELECT term FROM name WHERE starts_with(term, %s)
"""
_PLACES: Final = """
SELECT DISTINCT ON (batch.last_id) head.size, batch.events
FROM unnest(%s::bigint[]) AS asked(event) CROSS JOIN LATERAL (
  SELECT last_id, events FROM audit_mention WHERE term = '' AND last_id >= asked.event
  ORDER BY last_id LIMIT 1) AS batch
JOIN audit_checkpoint AS head USING (last_id)
"""
_COUNT: Final = """
SELECT coalesce(sum(octet_length(events)), 0)
FROM audit_mention JOIN audit_checkpoint USING (last_id) WHERE term = %s AND sealed_at >= %s
"""


def keep(rows: Iterable[tuple[int, Iterable[str]]], *, last_id: int) -> None:
    """Keep what the events of a batch are listed under, by their numbers in order; called by the sealer."""
    mentions: defaultdict[str, list[str]] = defaultdict(list)
    everything = mentions[EVERYTHING]
    for number, terms in rows:
        shown = f"{number:0{2 * _BYTES}x}"
        everything.append(shown)
        for term in terms:
            mentions[term].append(shown)
    # Neighbours in the index are written together; one text costs less than a row at a time.
    text = "".join(
        [f"{_escaped(term)}\t{last_id}\t\\\\x{''.join(mentions[term])}\n" for term in sorted(mentions)]
    )
    with connection.cursor() as cursor, cursor.copy(_KEEP) as copy:
        copy.write(text)


def _escaped(term: str) -> str:
    """As COPY takes it."""
    return term if _PLAIN(term) else term.translate(_ESCAPES)


def find(among: Sequence[Sequence[str]], *, before_id: int | None = None) -> Iterator[list[int]]:
    """Numbers of sealed events in batches that have a term of each of these groups, newest first, a batch at
    a time; they have a term of the first group themselves. Ask for more until there are enough.
    """
    first, *others = among
    behind = _NEWEST if before_id is None else before_id
    # The batch that `before_id` lies in begins in front of it and may end behind.
    reach = _NEWEST if before_id is None else _batch_of(before_id) + 1
    also, many = " ".join([_ALSO] * len(others)), max(4, len(first) + 1)
    while True:
        asked: list[Any] = [list(first), reach, *(list(group) for group in others), many, many]
        with connection.cursor() as cursor:
            cursor.execute(_FIND.format(also=also), asked)
            found = cursor.fetchall()
        by_batch: defaultdict[int, set[int]] = defaultdict(set)
        for last_id, events in found:
            by_batch[last_id].update(one for one in numbers(events) if one < behind)
        # The last of a full answer may have a term that the answer has no more room for: it is asked again.
        whole = sorted(by_batch, reverse=True)
        if len(found) == many:
            whole.pop()
        for last_id in whole:
            yield sorted(by_batch[last_id], reverse=True)
        if len(found) < many:
            return
        reach, many = whole[-1], max(many, min(4 * many, 256))


def named(beginning: str) -> list[str]:
    """The terms that begin so."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [beginning] * 3)
        return [term for (term,) in cursor.fetchall()]


def places(events: Sequence[int]) -> dict[int, int]:
    """The leaf index of each of these events that is sealed."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, [list(events)])
        batches = [(size, numbers(kept)) for size, kept in cursor.fetchall()]
    found = {}
    for size, kept in batches:
        for event in events:
            at = bisect_left(kept, event)
            if at < len(kept) and kept[at] == event:
                found[event] = size - len(kept) + at
    return found


def count(term: str, *, since: datetime | None = None) -> int:
    """How many sealed events have it; `since` counts what was sealed since then alone."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [term, since or datetime.min.replace(tzinfo=UTC)])
        return int(cursor.fetchone()[0]) // _BYTES


def batches(first_id: int, last_id: int) -> Iterator[list[int]]:
    """The numbers of the events of each batch that ends behind the one event and not behind the other."""
    rows = AuditMention.objects.filter(term=EVERYTHING, last_id__lte=last_id).order_by("last_id")
    while some := list(rows.filter(last_id__gt=first_id).values_list("last_id", "events")[:_PAGE]):
        yield from (numbers(events) for _, events in some)
        first_id = some[-1][0]


def numbers(events: bytes | memoryview) -> list[int]:
    """The numbers that a mention keeps."""
    found = bytes(events)
    return [int.from_bytes(found[at : at + _BYTES], "big") for at in range(0, len(found), _BYTES)]


def _batch_of(event: int) -> int:
    """The name of the batch that the event would lie in; the largest for one behind the last."""
    rows = AuditMention.objects.filter(term=EVERYTHING, last_id__gte=event).order_by("last_id")
    return rows.values_list("last_id", flat=True).first() or _NEWEST - 1
