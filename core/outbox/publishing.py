"""Announcing: the fifth beat of an action."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core import action
from core.outbox.messages import to_body, topic_of
from core.outbox.models import Delivery, OutboxMessage
from core.outbox.subscribers import subscribers_of


def publish(message: Any, *, now: datetime) -> OutboxMessage:
    """Store the message with the open action; each subscriber gets it once that has committed."""
    action.current()
    topic = topic_of(type(message))
    row = OutboxMessage.objects.create(topic=topic, body=to_body(message), created_at=now)
    Delivery.objects.bulk_create(
        Delivery(message=row, subscriber=entry.name, next_at=now) for entry in subscribers_of(topic)
    )
    return row
