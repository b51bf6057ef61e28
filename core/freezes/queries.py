"""Reads of freezes."""

from __future__ import annotations

from django.db.models import QuerySet

from core.freezes.domain.scopes import WIDTHS, checked
from core.freezes.models import Freeze


def in_force() -> QuerySet[Freeze]:
    """The freezes that hold now, newest first."""
    return Freeze.objects.filter(released_at=None).select_related("pulled_by").order_by("-pulled_at", "-id")


def widest() -> list[Freeze]:
    """What is frozen now, each scope once by its oldest freeze; first what stops the most."""
    found = {row.scope: row for row in in_force()}
    return sorted(found.values(), key=lambda row: (WIDTHS.index(row.scope.partition(":")[0]), row.pulled_at))


def history(*, limit: int = 100) -> QuerySet[Freeze]:
    """All freezes, newest first."""
    return Freeze.objects.select_related("pulled_by").order_by("-pulled_at", "-id")[:limit]


def covering(*scopes: str) -> list[Freeze]:
    """The freezes of these scopes that hold now, the oldest first, for screens and for what waits."""
    rows = Freeze.objects.filter(scope__in=[checked(scope) for scope in scopes], released_at=None)
    return list(rows.select_related("pulled_by").order_by("pulled_at", "id"))


def is_frozen(*scopes: str) -> bool:
    """Whether any of these scopes is frozen, for screens; acts call `freezes.check` instead."""
    return Freeze.objects.filter(scope__in=[checked(scope) for scope in scopes], released_at=None).exists()
