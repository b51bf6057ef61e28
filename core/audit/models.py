"""The audit log: one canonical text per event, and the Merkle tree that is sealed over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Self
from uuid import UUID

from django.db import connections, models
from django.db.models import F, Q
from django.db.models.functions import Cast
from django.utils.functional import cached_property

from core.audit.domain.reading import GONE, shown
from kernel import canonical

EVENT_CHARS_MAX: Final = canonical.LENGTH_MAX
"""What `audit.record` writes is never longer than so many bytes; the database, which does not know the
encoding, takes so many characters. Whoever writes past the application can make none that the sealer, an
export or the verifier has no room for."""
_COUNT_BITS: Final = 20
_APPEND: Final = 'INSERT INTO "audit_event" (canon, act) VALUES (%s, %s) RETURNING tx, n'


def key_of(number: int) -> tuple[int, int]:
    """The transaction and the count in an event's number."""
    return number >> _COUNT_BITS, number & ((1 << _COUNT_BITS) - 1)


def number_of(tx: int, n: int) -> int:
    """The number of the event with that key."""
    return tx << _COUNT_BITS | n


class Events(models.QuerySet["AuditEvent"]):
    """Events by number. Only these ask the index: the number itself is no column."""

    def append(self, canon: str, *, act: UUID | None = None) -> AuditEvent:
        """Write one. A role may name these two columns and no other: the key is the database's to give."""
        row = AuditEvent(canon=canon, act=act)
        with connections[self.db].cursor() as cursor:
            cursor.execute(_APPEND, [canon, act])
            row.tx, row.n = cursor.fetchone()
        row._state.adding, row._state.db = False, self.db
        return row

    def behind(self, number: int) -> Self:
        """Those that follow it."""
        return self.filter(pk__gt=key_of(number))

    def before(self, number: int) -> Self:
        """Those in front of it."""
        return self.filter(pk__lt=key_of(number))

    def numbered(self, numbers: Iterable[int]) -> dict[int, AuditEvent]:
        """Those that there are, by number."""
        wanted = set(numbers)
        rows = self.filter(tx__in={key_of(number)[0] for number in wanted})
        return {row.id: row for row in rows if row.id in wanted}

    def listed(self, numbers: Sequence[int]) -> list[AuditEvent]:
        """All of these, which are sealed and listed, in that order: also those that are gone since."""
        rows = self.numbered(numbers)
        return [rows.get(number) or _gone(number) for number in numbers]


def _gone(number: int) -> AuditEvent:
    tx, n = key_of(number)
    row = AuditEvent(tx=tx, n=n)
    row.is_gone = True
    return row


class _Documents(models.Manager["AuditEvent"]):
    """Events with `doc` and `id` as columns, made anew by the database each time: to look at, not search."""

    def get_queryset(self) -> models.QuerySet[AuditEvent]:
        # Left to itself Django takes it for 32 bits, and finds nothing by a larger number.
        number = models.ExpressionWrapper(
            F("tx").bitleftshift(_COUNT_BITS).bitor(F("n")),  # type: ignore[arg-type]
            output_field=models.BigIntegerField(),
        )
        rows = super().get_queryset()
        return rows.annotate(doc=Cast("canon", models.JSONField()), id=number)  # type: ignore[no-redef]


class AuditEvent(models.Model):
    """One fact, as the canonical JSON text that was hashed. Append-only.

    Its key is made by the database: the writing transaction's number, and a count. So the keys order events
    for the sealer, and none can appear later behind its cursor. `act` is empty where nothing was changed: a
    read, a refusal, a failure. What can be searched for is kept in mentions, once the event is sealed.
    """

    pk = models.CompositePrimaryKey("tx", "n")
    tx = models.BigIntegerField(help_text="the writing transaction")
    n = models.IntegerField(help_text="a count; its events are in this order")
    canon = models.CharField(max_length=EVENT_CHARS_MAX)
    act = models.UUIDField(null=True)

    index: int | None = None
    """Its place in the tree, where a query looked it up; None while it is not sealed."""
    is_gone = False
    """Whether it is sealed and listed and stands in the table no more; then nothing else is known of it."""

    texts = Events.as_manager()
    objects = _Documents()

    class Meta:
        db_table = "audit_event"
        default_manager_name = "texts"

    def __str__(self) -> str:
        return f"audit event {self.id}"

    @property
    def id(self) -> int:
        """Its number: what the sealer, its writers' testimonies and addresses call it by."""
        return number_of(self.tx, self.n)

    @id.setter  # noqa: A003
    def id(self, _: int) -> None:
        """Where a query made it as well."""

    @cached_property
    def doc(self) -> dict[str, Any]:
        """The event as it may be shown; a text that the application did not write reads as no act at all."""
        return shown(self.canon) | ({"action": GONE} if self.is_gone else {})


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
