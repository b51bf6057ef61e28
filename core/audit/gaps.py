"""Batches in which other events stand than were sealed, counted and not hashed: for the screens.

That an event is the one that was sealed its own page proves; that none is missing the offline verifier does.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from django.db import connection

BATCHES_MAX: Final = 60
"""Looked at for one page: more than a page's own events can lie in."""
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
