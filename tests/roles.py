"""The application's database roles, taken on by a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from core import privileges

# Roles belong to the whole cluster, and two test processes may come here at once.
_MAKE = "DO $$ BEGIN CREATE ROLE {name}; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"


def make_roles(cursor: Any) -> None:
    """Make them in this cluster if no test made them before, and give them their rights in this database."""
    for name in (*privileges.ROLES, *privileges.READERS):
        cursor.execute(_MAKE.format(name=name))
    for statement in privileges.statements():
        cursor.execute(statement)


@contextmanager
def as_role(role: str) -> Iterator[None]:
    """Everything within runs with the rights of that role."""
    with connection.cursor() as cursor:
        make_roles(cursor)
        cursor.execute(f"SET ROLE {role}")
        yield
        cursor.execute("RESET ROLE")
