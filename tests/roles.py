"""The application's database roles, taken on by a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from core import privileges

# Roles belong to the whole cluster, which may be one that others test in as well.
_MAKE = "DO $$ BEGIN CREATE ROLE {name}; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"


def make_roles(cursor: Any) -> None:
    """Make them in this cluster, and give them their rights in this database, of which tests have clones."""
    for name in (*privileges.ROLES, *privileges.READERS):
        cursor.execute(_MAKE.format(name=name))
    for statement in privileges.statements():
        cursor.execute(statement)


def own_names_only(cursor: Any) -> None:
    """What a clone does not have of all that: who may make temporary tables is said of each database anew."""
    cursor.execute(privileges.OWN_NAMES_ONLY)


@contextmanager
def as_role(role: str) -> Iterator[None]:
    """Everything within runs with the rights of that role."""
    with connection.cursor() as cursor:
        own_names_only(cursor)
        cursor.execute(f"SET ROLE {role}")
        yield
        cursor.execute("RESET ROLE")
