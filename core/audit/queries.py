"""Reads of the audit log for the console; permission is asked for by the view's declaration."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Final

from django.conf import settings
from django.db import connection

from core.audit import cosigned, mentions, notarizing, sources, tree, witnesses
from core.audit.domain import reading
from core.audit.domain.reading import Found, found_by
from core.audit.events import Event
from core.audit.models import AuditCheckpoint, AuditCosignature, AuditEvent, key_of
from core.refusals import NotFound
from kernel import merkle, note

TAIL_MAX: Final = 1000
"""Unsealed events that a search looks through; more only wait where the sealer does not run."""
SEALED_WITHIN: Final = timedelta(minutes=1)
"""An event of a time is sealed this soon after it, but where the sealer was down."""


def events(
    *,
    action: str = "",
    target: str = "",
    actor: str = "",
    identities: Collection[str] = (),
    person: str = "",
    reads: bool = False,
    under: str = "",
    until: datetime | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[AuditEvent]:
    """The newest events first: of an exact target, of actions that begin so, of an actor's label or of
    these identities, whatever they are called.

    `person` asks for reads of that person's data, `reads` for all such reads, `under` for the deeds of an
    elevation, `until` for what is older. What the sealer has not reached yet is read as text. An event that
    is gone since it was sealed stands among the others in its place, as far as it was listed.
    """
    if until is not None and before_id is None:
        before_id = sealed_behind(until)

    by = bool(actor or identities)

    def wanted(row: AuditEvent) -> bool:
        about: Found = found_by(row.canon, act=row.act)
        return (
            about.action.startswith(action)
            and target in ("", about.target)
            and (not by or about.identity in identities or (actor != "" and about.actor == actor))
            and (not under or under in about.under.split())
            and (until is None or about.at is None or about.at < until)
            and (about.person == person if person else bool(about.person) or not reads)
        )

    of_reads = bool(person) or reads
    among: list[list[str]] = [
        [reading.PERSON + person] if person else [],
        [reading.TARGET + target] if target else [],
        [reading.UNDER + under] if under else [],
        [
            *([(reading.READER if of_reads else reading.ACTOR) + actor] if actor else []),
            *(reading.IDENTITY + one for one in identities),
        ],
        [reading.READS] if reads and not person else [],
    ]
    if action:  # last: many events may have it
        among.append(mentions.named(reading.ACTION + action) or [reading.ACTION + action])
    among = [terms for terms in among if terms] or [[reading.EVERYTHING]]
    found = [row for row in _tail(before_id) if wanted(row)]
    numbers = chain.from_iterable(mentions.find(among, before_id=before_id))
    while len(found) < limit and (some := list(islice(numbers, limit))):
        found += [row for row in AuditEvent.texts.listed(some) if row.is_gone or wanted(row)]
    return _with_places(found[:limit])


def sealed_behind(until: datetime) -> int | None:
    """The number of an event behind those of that time; None where the newest are of it."""
    heads = AuditCheckpoint.objects.defer("hashes").order_by("size")
    early = heads.filter(sealed_at__lt=until + SEALED_WITHIN).last()
    late = heads.filter(size__gt=early.size if early else 0).first()
    return late.last_id + 1 if late else None


def _with_places(rows: list[AuditEvent]) -> list[AuditEvent]:
    """The same events, each with its place in the tree, `index`: None while it waits."""
    places = mentions.places([row.id for row in rows])
    for row in rows:
        row.index = places.get(row.id)
    return rows


def _tail(before_id: int | None) -> list[AuditEvent]:
    """The newest events that are not sealed."""
    last = newest_checkpoint()
    rows = AuditEvent.texts.behind(last.last_id if last else 0)
    if before_id is not None:
        rows = rows.before(before_id)
    return list(rows.order_by("-pk")[:TAIL_MAX])


@dataclass(frozen=True)
class Fault:
    """A sealed event with which something is wrong."""

    row: AuditEvent
    fault: str


def faults(*, limit: int) -> list[Fault]:
    """Sealed events with which something is wrong, newest first."""
    numbers = list(islice(chain.from_iterable(mentions.find([[reading.FAULTS]])), limit))
    known = _with_places(AuditEvent.texts.listed(numbers))
    return [
        Fault(row, reading.GONE if row.is_gone else found_by(row.canon, act=row.act).fault) for row in known
    ]


def faulty() -> int:
    """How many of them there are."""
    return mentions.count(reading.FAULTS)


@dataclass(frozen=True)
class Proof:
    """An event's inclusion proof against a checkpoint; `path` is hex, from the leaf upwards.

    `holds` says whether the event as it stands is under the root that the log's key signed: None where that
    key is not at hand.
    """

    index: int
    size: int
    path: list[str]
    note: str
    holds: bool | None


def event(event_id: int) -> AuditEvent:
    """One event; NotFound, which says so where it is gone since it was sealed."""
    row = AuditEvent.texts.filter(pk=key_of(event_id)).first()
    if row is None:
        if (place := mentions.places([event_id]).get(event_id)) is not None:
            raise NotFound(f"That event was sealed as leaf {place} and was removed from the database since.")
        raise NotFound("There is no such audit event.")
    return _with_places([row])[0]


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
    index = mentions.places([row.id]).get(row.id)
    if checkpoint is None or index is None or index >= checkpoint.size:
        return None
    path = tree.inclusion_proof(checkpoint.size, index)
    holds = _holds(row, path, index=index, signed=checkpoint.note)
    return Proof(index, checkpoint.size, [step.hex() for step in path], checkpoint.note, holds)


def _holds(row: AuditEvent, path: list[bytes], *, index: int, signed: str) -> bool | None:
    try:
        by = notarizing.verifier(settings.AUDIT_KEY_FILE, origin=settings.AUDIT_ORIGIN)
    except (notarizing.NoLogKey, OSError, ValueError):
        return None
    leaf = merkle.leaf(row.canon.encode())
    try:
        head = note.Checkpoint.parse(note.open_note(signed, by=by))
        merkle.verify_inclusion(path, leaf_hash=leaf, index=index, size=head.size, root=head.root)
    except (note.BadNote, merkle.BadProof):
        return False
    return True


def cursor() -> int:
    """The last event that is sealed; 0 before the first."""
    return AuditCheckpoint.objects.order_by("-size").values_list("last_id", flat=True).first() or 0


def is_ahead() -> bool:
    """Whether the last sealed event is of a transaction that this database has not begun: then what happens
    now stands behind the cursor, and is never sealed.
    """
    with connection.cursor() as cursor_:
        cursor_.execute("SELECT txid_snapshot_xmax(txid_current_snapshot())")
        return key_of(cursor())[0] >= int(cursor_.fetchone()[0])


def sealed_as(event_id: int) -> bytes | None:
    """The hash under which the event was sealed; None where it was not."""
    index = mentions.places([event_id]).get(event_id)
    return None if index is None else b"".join(tree.leaves(index, index + 1))


def gone() -> int:
    """How many events were found changed or removed between their commit and their seal."""
    return mentions.count(reading.ACTION + Event.EVENT_GONE)


def lost_testimonies(*, since: datetime) -> int:
    """How often since then the sealer reported that there was no room for testimonies."""
    return mentions.count(reading.ACTION + Event.TESTIMONIES_LOST, since=since)


def oldest_waiting() -> datetime | None:
    """When the first event that waits to be sealed says that it was written."""
    row = AuditEvent.texts.behind(cursor()).order_by("pk").first()
    return found_by(row.canon, act=row.act).at if row else None


def waiting() -> int:
    """How many events are not sealed yet."""
    return AuditEvent.texts.behind(cursor()).count()


@dataclass(frozen=True)
class Witnessed:
    """How far one witness has come with one log: the largest tree that it cosigned, and when it last did,
    None where it never has. `is_watched` is false for a log that witnesses are not shown any more; `false`
    counts the rows in front of that cosignature which name the witness, and which it did not sign.
    """

    log: str
    name: str
    size: int
    at: datetime | None
    is_watched: bool = True
    false: int = 0


def witnessed() -> list[Witnessed]:
    """The newest cosignature of each witness under each log, and those that are missing.

    Of a witness whose key is at hand a line is believed that it signed, and its word for when: whoever writes
    rows makes no witness look as if it were there, and none as if it were gone.
    """
    watched = {one.log.name for one in sources.read(settings.WATCHED_LOGS_FILE)}
    expected = {settings.AUDIT_ORIGIN, *watched}
    keys = {one.name: one for one in witnesses.keys(settings.AUDIT_WITNESSES_FILE)}
    found = {(log, name): Witnessed(log, name, 0, None) for log in expected for name in keys}
    rows = AuditCosignature.objects.order_by("log", "witness", "-size", "-at").distinct("log", "witness")
    for row in rows:
        size, false = row.size, 0
        at: datetime | None = row.at
        if row.witness in keys:
            all_of_it = AuditCosignature.objects.filter(log=row.log)
            line, false = cosigned.newest(all_of_it, by=keys[row.witness])
            size, at = (line.size, line.at) if line else (0, None)
        is_watched = not watched or row.log in expected
        found[row.log, row.witness] = Witnessed(row.log, row.witness, size, at, is_watched, false)
    return [found[key] for key in sorted(found)]
