"""The audit log: one canonical text per event, and the Merkle tree that is sealed over them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast
from django.utils.functional import cached_property

from core.audit.domain.reading import shown


class _Documents(models.Manager["AuditEvent"]):
    """Events with `doc` as a column, parsed anew by the database each time: to look at, not to search."""

    def get_queryset(self) -> models.QuerySet[AuditEvent]:
        return super().get_queryset().annotate(doc=Cast("canon", models.JSONField()))  # type: ignore[no-redef]


class AuditEvent(models.Model):
    """One fact, as the canonical JSON text that was hashed. Append-only.

    The database makes the number from the writing transaction's, so that the numbers order events for the
    sealer, and none can appear later behind its cursor. `act` is empty where nothing was changed: a read, a
    refusal, a failure. What can be searched for is kept in mentions, once the event is sealed.
    """

    id = models.BigAutoField(primary_key=True)
    canon = models.TextField()
    act = models.UUIDField(null=True)

    index: int | None = None
    """Its place in the tree, where a query looked it up; None while it is not sealed."""

    texts = models.Manager()
    objects = _Documents()

    class Meta:
        db_table = "audit_event"
        default_manager_name = "texts"

    def __str__(self) -> str:
        return f"audit event {self.pk}"

    @cached_property
    def doc(self) -> dict[str, Any]:
        """The event as it may be shown; a text that the application did not write reads as no act at all."""
        return shown(self.canon)


class AuditMention(models.Model):
    """The events of one batch that have a term in common, and under the empty term all of it. Append-only.

    Made from the sealed texts by the sealer, off the hot path, so that events can be found and have a place
    in the tree; `core.audit.mentions` reads and writes it.
    """

    pk = models.CompositePrimaryKey("term", "last_id")
    term = models.CharField(max_length=320, db_collation="C")
    last_id = models.BigIntegerField(help_text="the batch: the last event of it")
    events = models.BinaryField(help_text="their numbers in order, eight bytes each")

    class Meta:
        db_table = "audit_mention"


class AuditCheckpoint(models.Model):
    """A signed tree head, with the sealer's cursor and frontier of that moment. Append-only."""

    size = models.BigIntegerField(primary_key=True)
    note = models.TextField()
    last_id = models.BigIntegerField()
    frontier = models.JSONField()
    hashes = models.BinaryField(
        default=b"", help_text="of the leaves that it added, in order; empty in the oldest"
    )
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "audit_checkpoint"
        indexes = [models.Index(fields=["last_id"], name="audit_checkpoint_last")]


class AuditTile(models.Model):
    """256 neighbouring hashes of the tree, kept so that proofs need not read every event. Append-only.

    Of leaves only the root is kept: checkpoints keep those (in the oldest rows they stand here as well).
    """

    pk = models.CompositePrimaryKey("level", "index")
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField(default=b"", help_text="the one hash over them; empty in the oldest")

    class Meta:
        db_table = "audit_tile"


class AuditCosignature(models.Model):
    """A witness's signature line under a head of some log, checked before. Append-only."""

    log = models.CharField(max_length=200, help_text="the log's name")
    note = models.TextField(help_text="the head that it stands under")
    size = models.BigIntegerField()
    witness = models.CharField(max_length=200)
    line = models.CharField(max_length=400)
    at = models.DateTimeField(help_text="when the witness saw it, by its own clock")

    class Meta:
        db_table = "audit_cosignature"
        constraints = [
            models.UniqueConstraint(fields=["log", "witness", "size", "at"], name="audit_cosigned_once"),
            models.CheckConstraint(condition=Q(size__gte=0), name="audit_cosigned_size"),
        ]


class AuditSubject(models.Model):
    """The key of one person's texts in events, wrapped; empty once the person was erased."""

    subject = models.CharField(max_length=120, primary_key=True)
    public = models.BinaryField(help_text="what seals for the person")
    wrapped = models.BinaryField(help_text="what opens, sealed to the vault and bound to the subject")
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
