"""Whom somebody means who types an actor: an identity by its id, or whoever is called so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core.access.models import Identity, Kind
from core.audit.models import AuditEvent

NAMESAKES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Doer:
    """What to search the log by: a label exactly, and identities, whatever they were called then."""

    label: str = ""
    identities: tuple[str, ...] = ()

    def fits(self, rows: Iterable[AuditEvent]) -> list[str]:
        """Whose acts a name finds, if it is not one's alone: the ids of those who are called so, and of
        whoever else acted under it on this page; "" for what names nobody.
        """
        if not self.label:
            return []
        actors = (row.doc["actor"] for row in rows)
        under_it = (str(actor["identity"] or "") for actor in actors if actor["label"] == self.label)
        found = list(dict.fromkeys([*self.identities, *under_it]))
        return found if len(found) > 1 else []


def meant(text: str) -> Doer:
    """Customers are meant by their id alone: to look for one by name is a read of personal data."""
    try:
        return Doer(identities=(str(UUID(text)),))
    except ValueError:
        people = Identity.objects.exclude(kind=Kind.CUSTOMER).filter(display_name=text).order_by("pk")
        return Doer(text, tuple(str(one) for one in people.values_list("pk", flat=True)[:NAMESAKES_MAX]))
