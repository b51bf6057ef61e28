"""The audit log: one canonical text per event, and the Merkle tree that is sealed over them."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Cast


class AuditEvent(models.Model):
    """One fact, as the canonical JSON text that was hashed. Append-only.

    The column `txid` (the writing transaction, set by the database) orders events for the sealer, so that no
    event can appear later behind its cursor; Django never writes it.
    """

    id = models.BigAutoField(primary_key=True)
    canon = models.TextField()
    doc = models.GeneratedField(
        expression=Cast(F("canon"), models.JSONField()), output_field=models.JSONField(), db_persist=True
    )

    class Meta:
        db_table = "audit_event"

    def __str__(self) -> str:
        return f"audit event {self.pk}"


class AuditLeaf(models.Model):
    """Where an event stands in the tree. Append-only."""

    index = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="leaf")

    class Meta:
        db_table = "audit_leaf"


class AuditCheckpoint(models.Model):
    """A signed tree head, with the sealer's cursor and frontier of that moment. Append-only."""

    size = models.BigIntegerField(primary_key=True)
    note = models.TextField()
    last_txid = models.CharField(max_length=20)
    last_id = models.BigIntegerField()
    frontier = models.JSONField()
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "audit_checkpoint"
