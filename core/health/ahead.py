"""Moments that lie ahead of the clock: what a clock that was far ahead has left in our tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.apps import apps
from django.db import models
from django.db.models import Count, Max, Q

CLOCKS_APART_MAX: Final = timedelta(minutes=2)
DEADLINES: Final = frozenset(
    {
        *("approve_by", "call_until", "ends_at", "execute_by", "expire_date", "expires_at", "next_at"),
        *("sdk_token_until", "valid_until", "withdrawals_held_until"),
    }
)
"""Columns that lie ahead by their nature; every other one says when something was."""
GOOD_FOR_MAX: Final = timedelta(days=15)
"""Nothing of ours is good, or held, for longer."""
LONG: Final = frozenset({"kyc_verification.expires_at"})
"""Where others say how long something is good."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """So many rows of a column that say a moment which has not come, and the one that is furthest ahead."""

    column: str
    rows: int
    furthest: datetime


def found(*, now: datetime) -> Iterator[Ahead]:
    """Every column of ours with such rows, one look at each table."""
    for model in apps.get_models():
        table = model._meta.db_table
        names = [
            field.attname
            for field in model._meta.concrete_fields
            if isinstance(field, models.DateTimeField) and f"{table}.{field.column}" not in LONG
        ]
        if not names:
            continue
        asked: dict[str, Count | Max] = {}
        for name in names:
            late = Q(**{f"{name}__gt": now + (GOOD_FOR_MAX if name in DEADLINES else CLOCKS_APART_MAX)})
            asked |= {f"rows_{name}": Count("pk", filter=late), f"furthest_{name}": Max(name, filter=late)}
        said = model._default_manager.aggregate(**asked)
        for name in names:
            if said[f"rows_{name}"]:
                yield Ahead(f"{table}.{name}", said[f"rows_{name}"], said[f"furthest_{name}"])
