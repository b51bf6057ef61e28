"""Batches in which other events stand than were sealed, counted and not hashed: for the screens.

That an event is the one that was sealed its own page proves; that none is missing the offline verifier does.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from django.db import connection

from core.audit.models import AuditCheckpoint, key_of

BATCHES_MAX: Final = 60
"""Looked at for one page: more than a page's own events can lie in."""
EVENTS_MAX: Final = 200_000
"""Counted for a page that shows some of them only, which may reach over the whole log: some 50 ms."""
# What a batch added is the difference of two signed sizes. What is listed of it can be changed with the
# events, so both are compared with that.
_UNLIKE: Final = """
SELECT first, size - first, (
    SELECT count(*) FROM audit_event
    WHERE (tx, n) > (behind >> 20, behind & 1048575) AND (tx, n) <= (last_id >> 20, last_id & 1048575)
  ), coalesce((
    SELECT octet_length(events) / 8 FROM audit_mention WHERE term = '' AND last_id = head.last_id
  ), 0)
FROM (
  SELECT head.size, head.last_id, coalesce(before.size, 0) AS first, coalesce(before.last_id, 0) AS behind
  FROM audit_checkpoint AS head LEFT JOIN LATERAL (
    SELECT size, last_id FROM audit_checkpoint WHERE size < head.size ORDER BY size DESC LIMIT 1
  ) AS before ON true
  WHERE head.last_id >= %s AND coalesce(before.last_id, 0) < %s ORDER BY head.size DESC LIMIT %s
) AS head ORDER BY size DESC
"""


_COUNTED: Final = """
SELECT (SELECT count(*) FROM audit_event WHERE (tx, n) > (%s, %s) AND (tx, n) <= (%s, %s)), (
  SELECT coalesce(sum(octet_length(events)), 0) / 8 FROM audit_mention
  WHERE term = '' AND last_id > %s AND last_id <= %s)
"""


class Unlike(NamedTuple):
    """A batch that begins with leaf `first`: how many events were sealed, stand in the table, are listed."""

    first: int
    sealed: int
    standing: int
    listed: int

    @property
    def last(self) -> int:
        """Its last leaf."""
        return self.first + self.sealed - 1


def between(first_id: int, end_id: int) -> list[Unlike]:
    """The batches with events from the one number to in front of the other that differ, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(_UNLIKE, [first_id, end_id, BATCHES_MAX])
        found = (Unlike(*row) for row in cursor.fetchall())
        return [one for one in found if not one.sealed == one.standing == one.listed]


class Census(NamedTuple):
    """Whole batches together, from leaf `first`: how many events were sealed, stand, are listed. `newest` is
    the number behind the newest batch that differs, 0 where none does; `is_whole` says whether the count went
    back as far as it was asked to.
    """

    first: int
    sealed: int
    standing: int
    listed: int
    newest: int
    is_whole: bool

    @property
    def last(self) -> int:
        """Its last leaf."""
        return self.first + self.sealed - 1

    @property
    def is_sound(self) -> bool:
        """Whether nothing is missing, as far as it was counted."""
        return self.sealed == self.standing == self.listed


class _Head(NamedTuple):
    size: int
    last_id: int


def counted(first_id: int, end_id: int) -> Census | None:
    """What is missing among the events from the one number to in front of the other, also where no search can
    find it any more; None where none of them is sealed.

    A search finds what stands and what is listed under its terms. Whoever owns the database can take an event
    out of both: then the signed sizes alone know of it, and nobody knows whether it had matched.
    """
    end = _head(last_id__gte=end_id - 1) or _head(newest=True)
    if end is None:
        return None
    least = _head(last_id__lt=first_id, newest=True) or _Head(0, 0)
    first = max(least, _head(size__lte=end.size - EVENTS_MAX, newest=True) or least)
    standing, listed = _count(first, end)
    newest = 0 if end.size - first.size == standing == listed else _newest_unlike(first, end) + 1
    return Census(first.size, end.size - first.size, standing, listed, newest, first == least)


def _newest_unlike(first: _Head, end: _Head) -> int:
    """The last number of the newest batch that differs, of some that differ together."""
    while middle := _between(first, end):
        if _count(middle, end) == (end.size - middle.size,) * 2:
            end = middle
        else:
            first = middle
    return end.last_id


def _between(first: _Head, end: _Head) -> _Head | None:
    """A checkpoint near the middle of both."""
    half = (first.size + end.size) // 2
    later = _head(size__gt=max(first.size, half), size__lt=end.size)
    return later or _head(size__gt=first.size, size__lt=min(half + 1, end.size), newest=True)


def _count(first: _Head, end: _Head) -> tuple[int, int]:
    """How many events stand, and are listed, behind the one head up to the other."""
    with connection.cursor() as cursor:
        keys = [*key_of(first.last_id), *key_of(end.last_id)]
        cursor.execute(_COUNTED, [*keys, first.last_id, end.last_id])
        standing, listed = cursor.fetchone()
        return int(standing), int(listed)


def _head(*, newest: bool = False, **where: int) -> _Head | None:
    """The oldest checkpoint of these, or the newest."""
    found = AuditCheckpoint.objects.filter(**where).order_by("-size" if newest else "size")
    row = found.values_list("size", "last_id").first()
    return _Head(*row) if row else None
