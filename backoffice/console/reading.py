"""What a screen is about to show of a person is on record first. docs/personal-data.md lists every screen.

Lists, counts and everything that a page asks for again by itself show ids alone, so that they need no event
and leave none. One's own data is nobody else's to read, and leaves none either.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Model

from backoffice.console.frame import StaffRequest
from core import audit


def customer(
    request: StaffRequest,
    event: StrEnum,
    seen_in: Model,
    customer_id: UUID,
    fields: Sequence[str],
    *,
    now: datetime,
) -> None:
    """Record that the officer reads these fields of the customer, in this row."""
    person(request, event, seen_in, f"customers.customer/{customer_id}", fields, now=now)


def person(
    request: StaffRequest, event: StrEnum, seen_in: Model, of: str, fields: Sequence[str], *, now: datetime
) -> None:
    """The same for anybody whom the log knows by this name, colleagues included."""
    if of != f"access.identity/{request.identity.pk}":
        audit.record_read(event, seen_in, of=of, actor=request.actor, now=now, fields=fields)


def is_poll(request: StaffRequest) -> bool:
    """Whether the open page only asks how things stand now: the answer holds nothing of a person."""
    return request.GET.get("only") == "standing"
