"""The outbox: a message, and one delivery per subscriber."""

from __future__ import annotations

from django.db import models

from core.ids import new_id


class OutboxMessage(models.Model):
    """What happened, stored in the transaction in which it happened."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    topic = models.CharField(max_length=100)
    body = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "outbox_message"


class Delivery(models.Model):
    """One subscriber's copy, due again at `next_at` until `done_at` is set; `error` is the last failure."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    message = models.ForeignKey(OutboxMessage, on_delete=models.CASCADE, related_name="deliveries")
    subscriber = models.CharField(max_length=100)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    error = models.TextField(default="")

    class Meta:
        db_table = "outbox_delivery"
        constraints = [models.UniqueConstraint(fields=["message", "subscriber"], name="one_delivery_each")]
        indexes = [models.Index("next_at", condition=models.Q(done_at=None), name="outbox_due")]
