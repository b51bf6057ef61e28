"""Reads of what is on its way."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from core.outbox.models import Delivery


def undelivered(subscribers: Collection[str], *, before: datetime) -> int:
    """How many messages that were stored before the moment these subscribers have not taken yet."""
    late = Delivery.objects.filter(
        subscriber__in=list(subscribers), done_at=None, message__created_at__lt=before
    )
    return late.count()
