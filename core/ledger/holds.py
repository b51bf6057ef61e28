"""Holds: funds reserved for one purpose, then posted or given back, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from core import action
from core.ledger import accounts
from core.ledger.entries import InsufficientFunds, Leg, ReferenceReused, post
from core.ledger.models import Account, Hold, JournalEntry
from core.refusals import Refused
from kernel.money import Amount


class HoldClosed(Refused):
    """The hold was posted, voided or expired before."""

    code: ClassVar[str] = "ledger.hold_closed"


def hold(
    row: Account, amount: Amount, reference: str, *, now: datetime, expires: datetime | None = None
) -> Hold:
    """Reserve the amount on a customer's account. The same reference again returns the first hold."""
    action.current()
    locked = accounts.locked([row])[row.pk]
    existing = Hold.objects.filter(reference=reference).first()
    if existing is not None:
        if (existing.account_id, existing.units) != (row.pk, amount.units):
            raise ReferenceReused(f"hold {reference} exists with another account or amount")
        return existing
    if locked.asset != amount.asset or amount.units <= 0:
        raise ValueError(f"cannot hold {amount} {amount.asset} on {locked}")
    if locked.units - locked.held < amount.units:
        available = Amount(locked.units - locked.held, locked.asset)
        raise InsufficientFunds(
            f"Nothing was reserved: {available} {locked.asset} is available, {amount} is needed."
        )
    return Hold.objects.create(
        account=locked, reference=reference, units=amount.units, created_at=now, expires_at=expires
    )


def void_hold(reference: str, *, now: datetime, expired: bool = False) -> Hold:
    """Give the reserved funds back. Voiding twice is harmless; a posted hold is HoldClosed."""
    row = _claim(reference)
    target = "expired" if expired else "voided"
    if row.state == target:
        return row
    return _close(row, target, now=now)


def post_hold(
    reference: str, kind: str, entry_reference: str, legs: Sequence[Leg], *, now: datetime
) -> JournalEntry:
    """Close the hold and post the entry that it was reserved for, together."""
    row = _claim(reference)
    if row.state != "posted":
        _close(row, "posted", now=now)
    return post(kind, entry_reference, legs, now=now)


def _claim(reference: str) -> Hold:
    action.current()
    found = Hold.objects.select_related("account").get(reference=reference)
    accounts.locked([found.account])
    return Hold.objects.select_for_update().get(pk=found.pk)


def _close(row: Hold, state: str, *, now: datetime) -> Hold:
    if row.state != "pending":
        raise HoldClosed(f"Nothing was changed: the hold {row.reference} is already {row.state}.")
    row.state, row.closed_at = state, now
    row.save(update_fields=["state", "closed_at"])
    return row
