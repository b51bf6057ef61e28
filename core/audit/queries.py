"""Reads of the audit log for the console; permission is asked for by the view's declaration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from core.audit import tree
from core.audit.models import AuditCheckpoint, AuditCosignature, AuditEvent, AuditLeaf
from core.refusals import NotFound


def events(
    *, action: str = "", target: str = "", actor: str = "", before_id: int | None = None, limit: int = 100
) -> QuerySet[AuditEvent]:
    """The newest events first: of an exact target, of actions that begin so, of an actor's label."""
    rows = AuditEvent.objects.select_related("leaf").order_by("-id")
    if action:
        rows = rows.filter(doc__action__startswith=action)
    if target:
        rows = rows.filter(doc__target=target)
    if actor:
        rows = rows.filter(doc__actor__label=actor)
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    return rows[:limit]


@dataclass(frozen=True)
class Proof:
    """An event's inclusion proof against a checkpoint; `path` is hex, from the leaf upwards."""

    index: int
    size: int
    path: list[str]
    note: str


def event(event_id: int) -> AuditEvent:
    """One event; NotFound."""
    row = AuditEvent.objects.select_related("leaf").filter(pk=event_id).first()
    if row is None:
        raise NotFound("There is no such audit event.")
    return row


def newest_checkpoint() -> AuditCheckpoint | None:
    """The last signed tree head, or None before the first sealing."""
    return AuditCheckpoint.objects.order_by("-size").first()


def proof(row: AuditEvent) -> Proof | None:
    """The event's proof under the newest checkpoint; None while it awaits sealing."""
    checkpoint = newest_checkpoint()
    leaf = AuditLeaf.objects.filter(event=row).first()
    if checkpoint is None or leaf is None or leaf.index >= checkpoint.size:
        return None
    path = tree.inclusion_proof(checkpoint.size, leaf.index)
    return Proof(leaf.index, checkpoint.size, [step.hex() for step in path], checkpoint.note)


@dataclass(frozen=True)
class Witnessed:
    """How far one witness has come: the largest tree that it cosigned, and when."""

    name: str
    size: int
    at: datetime


def witnessed() -> list[Witnessed]:
    """The newest cosignature of each witness, by name."""
    rows = AuditCosignature.objects.order_by("witness", "-size").distinct("witness")
    return [Witnessed(row.witness, row.size, row.at) for row in rows]
