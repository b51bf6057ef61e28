"""Reads of the audit log for the console; permission is asked for by the view's declaration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from core.audit import tree
from core.audit.domain.reading import found_by
from core.audit.events import Event
from core.audit.models import AuditCheckpoint, AuditCosignature, AuditEvent, AuditLeaf
from core.refusals import NotFound

TAIL_MAX: Final = 1000
"""Unsealed events that a search looks through; more only wait where the sealer does not run."""


def events(
    *,
    action: str = "",
    target: str = "",
    actor: str = "",
    person: str = "",
    reads: bool = False,
    under: str = "",
    before_id: int | None = None,
    limit: int = 100,
) -> list[AuditEvent]:
    """The newest events first: of an exact target, of actions that begin so, of an actor's label.

    `person` asks for reads of that person's data, `reads` for all such reads, `under` for the deeds of an
    elevation. What the sealer has not reached
    yet is read as text.
    """
    found = []
    for row in _tail(before_id):
        about = found_by(row.canon, act=row.act)
        if (
            about.action.startswith(action)
            and target in ("", about.target)
            and actor in ("", about.actor)
            and under in about.under
            and (about.person == person if person else about.person or not reads)
        ):
            found.append(row)
    leaves = AuditLeaf.objects.select_related("event").order_by("-event_id")
    if action:
        leaves = leaves.filter(action__startswith=action)
    if target:
        leaves = leaves.filter(target=target)
    if actor:
        leaves = leaves.filter(actor=actor)
    if person:
        leaves = leaves.filter(person=person)
    elif reads:
        leaves = leaves.exclude(person="")
    if under:
        leaves = leaves.exclude(under="").filter(under__contains=under)
    if before_id is not None:
        leaves = leaves.filter(event_id__lt=before_id)
    for leaf in leaves[: max(0, limit - len(found))]:
        leaf.event.leaf = leaf
        found.append(leaf.event)
    return found[:limit]


def _tail(before_id: int | None) -> list[AuditEvent]:
    """The newest events that are not sealed."""
    last = newest_checkpoint()
    rows = AuditEvent.texts.filter(id__gt=last.last_id if last else 0)
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    return list(rows.order_by("-id")[:TAIL_MAX])


def faults() -> QuerySet[AuditLeaf]:
    """Sealed events with which something is wrong, newest first."""
    return AuditLeaf.objects.exclude(fault="").order_by("-event_id")


@dataclass(frozen=True)
class Proof:
    """An event's inclusion proof against a checkpoint; `path` is hex, from the leaf upwards."""

    index: int
    size: int
    path: list[str]
    note: str


def event(event_id: int) -> AuditEvent:
    """One event; NotFound."""
    row = AuditEvent.texts.select_related("leaf").filter(pk=event_id).first()
    if row is None:
        raise NotFound("There is no such audit event.")
    return row


_PEOPLE: Final = {"customer": "customers.customer", "officer": "access.identity"}


def actor_of(row: AuditEvent) -> str:
    """The person whose act, address and device the event shows, by the name in the log; "" for machines."""
    actor = row.doc.get("actor") or {}
    kind, identity = _PEOPLE.get(str(actor.get("kind"))), actor.get("identity")
    return f"{kind}/{identity}" if kind and identity else ""


def newest_checkpoint() -> AuditCheckpoint | None:
    """The last signed tree head, or None before the first sealing."""
    return AuditCheckpoint.objects.defer("hashes").order_by("-size").first()


def proof(row: AuditEvent) -> Proof | None:
    """The event's proof under the newest checkpoint; None while it awaits sealing."""
    checkpoint = newest_checkpoint()
    leaf = AuditLeaf.objects.filter(event=row).first()
    if checkpoint is None or leaf is None or leaf.index >= checkpoint.size:
        return None
    path = tree.inclusion_proof(checkpoint.size, leaf.index)
    return Proof(leaf.index, checkpoint.size, [step.hex() for step in path], checkpoint.note)


def cursor() -> int:
    """The last event that is sealed; 0 before the first."""
    return AuditCheckpoint.objects.order_by("-size").values_list("last_id", flat=True).first() or 0


def sealed_as(event_id: int) -> bytes | None:
    """The hash under which the event was sealed; None where it was not."""
    index = AuditLeaf.objects.filter(event_id=event_id).values_list("index", flat=True).first()
    return None if index is None else b"".join(tree.leaves(index, index + 1))


def gone() -> int:
    """How many events were found changed or removed between their commit and their seal."""
    return AuditLeaf.objects.filter(action=Event.EVENT_GONE).count()


def lost_testimonies(*, since: datetime) -> int:
    """How often since then the sealer reported that there was no room for testimonies."""
    return AuditLeaf.objects.filter(action=Event.TESTIMONIES_LOST, at__gte=since).count()


def oldest_waiting() -> datetime | None:
    """When the first event that waits to be sealed says that it was written."""
    row = AuditEvent.texts.filter(id__gt=cursor()).order_by("id").first()
    return found_by(row.canon, act=row.act).at if row else None


def waiting() -> int:
    """How many events are not sealed yet."""
    return AuditEvent.texts.filter(id__gt=cursor()).count()


@dataclass(frozen=True)
class Witnessed:
    """How far one witness has come with one log: the largest tree that it cosigned, and when it last did."""

    log: str
    name: str
    size: int
    at: datetime


def witnessed() -> list[Witnessed]:
    """The newest cosignature of each witness under each log."""
    rows = AuditCosignature.objects.order_by("log", "witness", "-size", "-at").distinct("log", "witness")
    return [Witnessed(row.log, row.witness, row.size, row.at) for row in rows]
