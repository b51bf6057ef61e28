"""From whom the signers take an ask, by the registry that was loaded here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from custody.models import Asker


@dataclass(frozen=True, slots=True)
class Askers:
    """Those who may ask, by their ids, and the version of the registry that says so.

    It is for telling people in time. Signers go by the file that they hold, which may be another; nothing is
    refused because of this.
    """

    version: int
    by_officer: Mapping[UUID, str]

    @property
    def names(self) -> str:
        """Who may ask, as a sentence says it."""
        *first, last = sorted(self.by_officer.values())
        return f"{', '.join(first)} or {last}" if first else last


def askers_without(officer: UUID) -> Askers | None:
    """Who may ask instead, where signers will not take this officer's ask; None where they will, or where no
    registry that was loaded names anybody.
    """
    rows = list(Asker.objects.all())
    if not rows or any(row.officer == officer for row in rows):
        return None
    return Askers(max(row.registry_version for row in rows), {row.officer: row.name for row in rows})
