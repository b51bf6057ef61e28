"""The tables of permissions: a line each, with an x under every column that holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

Column = TypeVar("Column")


def marked(table: str, columns: Sequence[Column]) -> Mapping[str, tuple[Column, ...]]:
    """The marked columns by permission; ValueError for a line that is crooked or whose name came before.

    The first line is the columns' heads, for readers.
    """
    found: dict[str, tuple[Column, ...]] = {}
    for line in table.strip().splitlines()[1:]:
        permission, *cells = line.split()
        if len(cells) != len(columns) or not set(cells) <= {"x", "."}:
            raise ValueError(f"the table has a crooked line: {permission}")
        if permission in found:
            raise ValueError(f"the table names a permission twice: {permission}")
        found[permission] = tuple(column for column, cell in zip(columns, cells, strict=True) if cell == "x")
    return found
