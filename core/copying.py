"""Many rows in one statement, for those few who write thousands at a time: COPY, and one array for a column.

Values are written as PostgreSQL's text a column at a time. To look each of them up by its type costs more
than all the rest of such a statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Lookup
from psycopg import sql

if TYPE_CHECKING:
    _Lookup = Lookup[Any]
else:
    _Lookup = Lookup

_AT_ONCE: Final = 256
_KINDS: Final = (int, str, datetime, UUID, type(None))
_IN_COPY: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_rows(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Add the rows. Triggers, constraints and privileges hold as for an INSERT of all of them.

    A column holds text, integers, booleans, moments, ids or nothing (None), of one kind throughout.
    """
    if not rows:
        return
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    # The cursor's own methods would turn the driver's errors into Django's; its COPY does not.
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(command) as copy:
        # The server works on some rows while the next are written out.
        for first in range(0, len(rows), _AT_ONCE):
            piece = zip(*rows[first : first + _AT_ONCE], strict=True)
            texts = [_texts(column, nothing="\\N", escaped=_for_copy) for column in piece]
            copy.write("\n".join(map("\t".join, zip(*texts, strict=True))) + "\n")


def array(values: Iterable[Any]) -> str:
    """A column's values as an array in PostgreSQL's text, to be cast to the column's type."""
    return "{" + ",".join(_texts(tuple(values), nothing="NULL", escaped=_for_array)) + "}"


class Among(_Lookup):
    """`Among(F("pk"), ids)`: one array, where IN takes a parameter for each, quoted and planned singly.

    It is of the column's type, as the server reads it.
    """

    lookup_name = "among"
    prepare_rhs = False

    def __init__(self, column: Any, values: Iterable[Any]) -> None:
        super().__init__(column, array(values))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", (*parameters, self.rhs)


def _texts(values: Sequence[Any], *, nothing: str, escaped: Callable[[str], str]) -> Iterable[str]:
    kinds = set(map(type, values))
    if kinds == {int}:
        return map(str, values)
    if kinds == {str}:  # a few words, again and again
        words = {value: escaped(value) for value in set(values)}
        return map(words.__getitem__, values)
    if kinds <= {datetime, type(None)}:  # those of one act, again and again
        moments = {value: nothing if value is None else value.isoformat() for value in set(values)}
        return map(moments.__getitem__, values)
    if others := [kind for kind in kinds if not issubclass(kind, _KINDS)]:
        raise TypeError(f"a column of {others[0].__name__} is not for COPY")
    return [nothing if value is None else escaped(str(value)) for value in values]


def _for_copy(text: str) -> str:
    return text if text.isalnum() else text.translate(_IN_COPY)


def _for_array(text: str) -> str:
    return text if text.isalnum() and text.upper() != "NULL" else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
