"""Posting many journal entries in one go: the rules of `post`, a handful of statements for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core import action
from core.ledger import accounts
from core.ledger.entries import Leg, _check, _same_legs
from core.ledger.models import JournalEntry, Posting


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be written: `reference` is unique within the kind."""

    reference: str
    legs: Sequence[Leg]
    posted_at: datetime


def post_all(kind: str, drafts: Sequence[Draft]) -> int:
    """Write the entries that are not there yet, inside the open action; how many those were.

    A reference that was posted before must have been posted with the same legs. An account that would be
    overdrawn is refused by the database, with everything else of the action.
    """
    action.current()
    for draft in drafts:
        _check(draft.legs)
    accounts.locked(leg.account for draft in drafts for leg in draft.legs)
    wanted = {draft.reference: draft for draft in drafts}
    known = JournalEntry.objects.filter(kind=kind, reference__in=list(wanted)).prefetch_related("postings")
    for entry in known:
        _same_legs(entry, wanted.pop(entry.reference).legs)
    made = JournalEntry.objects.bulk_create(
        JournalEntry(kind=kind, reference=draft.reference, posted_at=draft.posted_at)
        for draft in wanted.values()
    )
    Posting.objects.bulk_create(
        Posting(entry=entry, account_id=leg.account.pk, asset=leg.amount.asset, units=leg.amount.units)
        for entry in made
        for leg in wanted[entry.reference].legs
    )
    return len(made)
