"""The Celery side of the outbox."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from core import clock
from core.outbox import delivery


@shared_task(name="outbox.deliver", ignore_result=True)  # type: ignore[untyped-decorator]
def deliver(delivery_id: str) -> None:
    """Deliver one message to one subscriber."""
    delivery.deliver(UUID(delivery_id), now=clock.now())
