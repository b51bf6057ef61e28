"""The relay and its workers in this thread: what is due in the outbox, delivered."""

from __future__ import annotations

from datetime import datetime

from core.outbox import delivery


def work(*, now: datetime) -> None:
    """Deliver what is due, as relay and worker do, until nothing is."""
    while due := delivery.claim_due(now=now):
        for delivery_id in due:
            delivery.deliver(delivery_id, now=now)
