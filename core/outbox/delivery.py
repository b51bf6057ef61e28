"""Delivering: claim what is due, run the subscriber, note the outcome. Safe to run many times at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from core.outbox.messages import from_body
from core.outbox.models import Delivery
from core.outbox.subscribers import by_name

log = logging.getLogger(__name__)

BATCH: Final = 100
LEASE: Final = timedelta(seconds=60)
"""How long a claimed delivery may run before another worker tries it: beyond any subscriber's time-outs."""
BACKOFF_MAX: Final = timedelta(minutes=5)
AHEAD_MAX: Final = LEASE + BACKOFF_MAX + timedelta(minutes=5)
"""Nothing is put off for so long: what is, was written under a clock that was ahead, and is due."""


def claim_due(*, now: datetime) -> list[UUID]:
    """Lease up to BATCH due deliveries, oldest first, to the caller."""
    with transaction.atomic():
        due = list(
            Delivery.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(Q(next_at__lte=now) | Q(next_at__gt=now + AHEAD_MAX), done_at=None)
            .order_by("next_at", "id")[:BATCH]
        )
        for row in due:
            row.attempts += 1
            row.next_at = now + LEASE
        Delivery.objects.bulk_update(due, ["attempts", "next_at"])
    return [row.pk for row in due]


def give_back(deliveries: Sequence[UUID], *, now: datetime) -> None:
    """End the lease of deliveries that were claimed and could not be handed on."""
    Delivery.objects.filter(pk__in=deliveries, done_at=None).update(next_at=now)


def deliver(delivery_id: UUID, *, now: datetime) -> bool:
    """Run the subscriber; True when it is done. A failure is kept on the row and tried again later."""
    row = Delivery.objects.select_related("message").get(pk=delivery_id)
    if row.done_at is not None:
        return True
    try:
        by_name(row.subscriber).answer(from_body(row.message.topic, row.message.body), now=now)
    except Exception as error:  # a worker must outlive any subscriber; the failure is stored and logged
        log.exception("%s failed on %s (attempt %d)", row.subscriber, row.message.topic, row.attempts)
        wait = min(timedelta(seconds=2 ** min(row.attempts, 10)), BACKOFF_MAX)
        Delivery.objects.filter(pk=row.pk, done_at=None).update(
            next_at=now + wait, error=f"{type(error).__name__}: {error}"[:2000]
        )
        return False
    Delivery.objects.filter(pk=row.pk, done_at=None).update(done_at=now, error="")
    return True
