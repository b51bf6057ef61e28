"""Posting many journal entries in one go: the rules of `post`, a handful of statements for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

from django.db import connection

from core import action
from core.copying import array, copy_rows
from core.ids import new_id
from core.ledger import accounts
from core.ledger.entries import ReferenceReused, Unbalanced

Legs: TypeAlias = Sequence[tuple[str, str, int]]


class Draft(NamedTuple):
    """An entry to be written; `reference` is unique in its kind. A leg is (account, asset, signed units).

    The account's id is text: to hash a UUID, thousands of times, costs more than to make it once.
    """

    kind: str
    reference: str
    legs: Legs
    posted_at: datetime


def post_all(drafts: Sequence[Draft]) -> int:
    """Write the entries that are not there yet, inside the open action; how many those were.

    A reference that was posted before must have been posted with the same legs. All legs reach their accounts
    together: one that would be overdrawn by their sum is refused by the database, with everything else of the
    action.
    """
    action.current()
    for draft in drafts:
        _check(draft)
    accounts.lock({UUID(account) for account in {leg[0] for draft in drafts for leg in draft.legs}})
    known = _known(drafts)
    entries: list[tuple[str, str, str, datetime]] = []
    postings: list[tuple[str, str, str, int]] = []
    for draft in drafts:
        legs = known.get((draft.kind, draft.reference))
        if legs is None:
            number = str(new_id())
            entries.append((number, draft.kind, draft.reference, draft.posted_at))
            postings += [(number, account, asset, units) for account, asset, units in draft.legs]
        elif legs != sorted((account, units) for account, _, units in draft.legs):
            raise ReferenceReused(f"{draft.kind} {draft.reference} was posted with other legs")
    copy_rows("ledger_entry", ("id", "kind", "reference", "posted_at"), entries)
    copy_rows("ledger_posting", ("entry_id", "account_id", "asset", "units"), postings)
    return len(entries)


def _check(draft: Draft) -> None:
    sums: defaultdict[str, int] = defaultdict(int)
    for _, asset, units in draft.legs:
        sums[asset] += units
    if not draft.legs or any(sums.values()):
        raise Unbalanced(f"the legs of {draft.kind} {draft.reference} do not sum to zero: {dict(sums)}")


def _known(drafts: Sequence[Draft]) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """The legs of those that were posted before."""
    found: defaultdict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.kind, e.reference, p.account_id, p.units"
            " FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id"
            " WHERE e.kind = ANY (%s) AND e.reference = ANY (%s)",
            [array({draft.kind for draft in drafts}), array([draft.reference for draft in drafts])],
        )
        for kind, reference, account, units in cursor.fetchall():
            found[kind, reference].append((str(account), int(units)))
    return {key: sorted(legs) for key, legs in found.items()}
