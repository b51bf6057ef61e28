"""Personal data: sealed per person, opened only by the vault, gone with one key while the log still verifies.

Anybody here may seal: a person's public key lies in a table, and no process of the application holds a key
that opens. To open, the vault is asked under an event of the log that names the reader, the person and the
purpose; it keeps a log of its own and admits so many people an hour. So a web process that was taken over
reads nothing silently, and nothing in bulk.

An event carries the sealed text, and the tree is built over that. Destroying the person's key makes every
such text of theirs unreadable, in the log, in every export and behind every witness, while each hash stays
what it was. (A backup of the table holds the wrapped key until the backup is gone.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import connection

from core import action as actions
from core.audit.models import AuditEvent, AuditSubject
from core.refusals import Refused
from core.trusted import serving
from core.vault import boxes
from kernel import canonical, encodings, frames

PLACE: Final = "audit_event"
_PATIENCE_S: Final = 5.0
_LOCKS: Final = 0x7375626A  # the namespace of advisory locks on people who get their first key


class NotOpened(Refused):
    """The vault did not open it."""

    code = "not_opened"
    status = 503


class TooManyPeople(NotOpened):
    """The reader, or the process, has seen as many people as an hour admits."""

    code = "too_many_people"
    status = 429


class NoReadOnRecord(RuntimeError):
    """Personal data was asked for without an event that says so."""


def seal(subject: str, plain: bytes, *, place: str) -> bytes:
    """Sealed for that person and place, inside the open action; nothing at all for a person who was erased.

    `subject` names the person, e.g. "customers.customer/0192…".
    """
    actions.current()
    row = AuditSubject.objects.filter(subject=subject).first()
    if row is None:
        _alone(subject)
        public, wrapped = boxes.new_person(subject, vault_key())
        fresh = AuditSubject(subject=subject, public=public, wrapped=wrapped)
        AuditSubject.objects.bulk_create([fresh], ignore_conflicts=True)
        row = AuditSubject.objects.get(subject=subject)
    if row.destroyed_at is not None:
        return b""
    return boxes.seal_twice(plain, person=bytes(row.public), vault=vault_key(), bound_to=f"{subject}|{place}")


def personal(subject: str, text: str) -> dict[str, str]:
    """The text as an event may carry it."""
    sealed = seal(subject, text.encode(), place=PLACE)
    return {"subject": subject, "sealed": encodings.base64url(sealed) if sealed else ""}


def is_personal(value: object) -> bool:
    """Whether an event's value is a sealed text."""
    return isinstance(value, Mapping) and value.keys() == {"subject", "sealed"}


def opened(subject: str, items: Sequence[tuple[str, bytes]], *, read: AuditEvent) -> list[bytes] | None:
    """What was sealed at these places, for the read that is on record; None once the person was erased.

    `read` is what `audit.record_read` gave for this very person: reader, purpose and event are taken from it.
    Whoever is erased while the vault opens is not shown: nobody reads on once an erasure has been answered.
    """
    _must_be_of(subject, read)
    row = AuditSubject.objects.filter(subject=subject).first()
    if row is None or row.destroyed_at is not None or not items:
        return None if items else []
    texts = _asked(subject, bytes(row.wrapped), items, read=read)
    return texts if AuditSubject.objects.filter(pk=row.pk, destroyed_at=None).exists() else None


def seal_alone(subject: str, plain: bytes, *, place: str) -> tuple[bytes, bytes]:
    """Sealed to a fresh key of its own, for what is about somebody not known yet; and that key, as only the
    vault opens it. Both lie with the text: who drops the key has erased it.
    """
    vault = vault_key()
    public, wrapped = boxes.new_person(subject, vault)
    return boxes.seal_twice(plain, person=public, vault=vault, bound_to=f"{subject}|{place}"), wrapped


def opened_alone(subject: str, wrapped: bytes, item: tuple[str, bytes], *, read: AuditEvent) -> bytes:
    """What `seal_alone` sealed, for the read that is on record. Refused."""
    _must_be_of(subject, read)
    return _asked(subject, wrapped, [item], read=read)[0]


def _must_be_of(subject: str, read: AuditEvent) -> None:
    after = read.doc.get("after")
    if not isinstance(after, Mapping) or after.get("person") != subject or read.tx is None:
        raise NoReadOnRecord(f"no read of {subject} is on record")


def _asked(
    subject: str, wrapped: bytes, items: Sequence[tuple[str, bytes]], *, read: AuditEvent
) -> list[bytes]:
    """The vault's answer."""
    event = read.doc
    actor = event["actor"]
    question: dict[str, canonical.Value] = {
        "v": 1,
        "type": "open",
        "subject": subject,
        "actor": f"{actor['kind']}/{actor['identity'] or actor['label']}",
        "purpose": str(event["action"]),
        "event": str(event["id"]),
        "wrapped": encodings.base64url(wrapped),
        "items": [{"place": place, "sealed": encodings.base64url(sealed)} for place, sealed in items],
    }
    try:
        answer = serving.ask(settings.VAULT_SOCKET, question, patience_s=_PATIENCE_S)[0]
    except (OSError, frames.BadFrame, canonical.NotCanonical):
        raise NotOpened("Nothing was opened: the vault does not answer. Ask Sam.") from None
    texts = answer.get("texts")
    if answer.get("code") == "VAULT_QUOTA":
        raise TooManyPeople("Nothing was opened: you have looked at as many people as an hour admits.")
    if not isinstance(texts, list) or len(texts) != len(items):
        raise NotOpened(f"Nothing was opened: the vault says {answer.get('code')}. Ask Sam.")
    return [encodings.from_base64url(str(text)) for text in texts]


def reveal(value: Mapping[str, Any], *, read: AuditEvent) -> str | None:
    """The text of a value that `personal` made; None once the person was erased."""
    subject, sealed = str(value["subject"]), str(value["sealed"])
    if not sealed:
        return None
    texts = opened(subject, [(PLACE, encodings.from_base64url(sealed))], read=read)
    return texts[0].decode() if texts else None


def destroy(subject: str, *, now: datetime) -> bool:
    """Destroy the person's key, inside the open action; whether there was one to destroy."""
    actions.current()
    _alone(subject)
    rows = AuditSubject.objects.filter(subject=subject, destroyed_at=None)
    return rows.update(wrapped=b"", destroyed_at=now) == 1


def _alone(subject: str) -> None:
    """A person's first key and its end come one after the other: none is made behind an erasure's back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCKS, subject])


def vault_key() -> bytes:
    """The vault's public key: the first word of its file."""
    return encodings.from_hex(settings.VAULT_KEY_FILE.read_text(encoding="ascii").split()[0])
