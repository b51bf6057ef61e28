"""The audit log: one canonical text per event, and the Merkle tree that is sealed over them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
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


class AuditTile(models.Model):
    """256 neighbouring hashes of the tree, kept so that proofs need not read every event. Append-only."""

    pk = models.CompositePrimaryKey("level", "index")
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField()

    class Meta:
        db_table = "audit_tile"


class AuditCosignature(models.Model):
    """A witness's signature line under the checkpoint of that size, checked before. Append-only."""

    size = models.BigIntegerField()
    witness = models.CharField(max_length=200)
    line = models.CharField(max_length=400)
    at = models.DateTimeField(help_text="when the witness saw it, by its own clock")

    class Meta:
        db_table = "audit_cosignature"
        constraints = [
            models.UniqueConstraint(fields=["witness", "size"], name="audit_cosigned_once"),
            models.CheckConstraint(condition=Q(size__gt=0), name="audit_cosigned_something"),
        ]


class AuditSubject(models.Model):
    """The key of one person's texts in events, wrapped; empty once the person was erased."""

    subject = models.CharField(max_length=120, primary_key=True)
    wrapped = models.BinaryField(help_text="AES-256-GCM under FIELD_KEY, bound to the subject")
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "audit_subject"
        constraints = [
            models.CheckConstraint(
                condition=Q(destroyed_at=None) ^ Q(wrapped=b""), name="audit_subject_gone_or_not"
            )
        ]

    def __str__(self) -> str:
        return self.subject
