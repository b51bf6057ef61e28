"""What is frozen, asked in one statement, which others can be sent with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.db import connection

from core.freezes.domain.scopes import checked
from core.freezes.models import Freeze

_FIELDS: Final = [field.attname for field in Freeze._meta.concrete_fields]
STATEMENT: Final = (
    f"SELECT {', '.join(_FIELDS)} FROM freezes_freeze"  # noqa: S608 - our own columns
    " WHERE scope = ANY(%s) AND released_at IS NULL ORDER BY pulled_at, id"
)


def look(scopes: Collection[str]) -> list[Freeze]:
    """The freezes of these that are in force, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(STATEMENT, parameters(scopes))
        return rows(cursor)


def parameters(scopes: Collection[str]) -> list[Any]:
    """The statement's; BadScope."""
    return [[checked(scope) for scope in scopes]]


def rows(cursor: Any) -> list[Freeze]:
    """What the statement found."""
    return [Freeze.from_db(None, _FIELDS, row) for row in cursor.fetchall()]
