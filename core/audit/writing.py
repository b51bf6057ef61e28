"""Writing audit events: one per act, in the act's own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from django.db import models, transaction

from core import action as actions
from core import hints
from core.actor import Actor
from core.audit import testifying
from core.audit.models import AuditEvent
from core.ids import new_id
from core.refusals import Refused
from kernel import canonical
from kernel.money import Amount


class NotWritable(Refused):
    """The log has no place for what would be said, such as a text that is too long."""

    code = "audit.not_writable"
    status = 422


def record(
    event: StrEnum,
    target: models.Model | str,
    *,
    actor: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Write what happened, inside the open action; it commits or vanishes with the change itself.

    NotWritable where the log has no place for it.
    """
    transaction.on_commit(partial(hints.committed, str(event), name_of(target)), robust=True)
    return _write(
        str(event),
        target,
        actor=actor,
        now=now,
        action=actions.current(),
        is_act=True,
        before=before,
        after=after,
        reason=reason,
    )


def record_read(
    event: StrEnum,
    target: models.Model | str,
    *,
    of: models.Model | str,
    actor: Actor,
    now: datetime,
    fields: Sequence[str] = (),
) -> AuditEvent:
    """Write that data of the person `of` is about to be shown. Call it before anything is opened."""
    with transaction.atomic():
        return _write(
            str(event),
            target,
            actor=actor,
            now=now,
            action=new_id(),
            after={"fields": list(fields), "person": name_of(of)},
        )


def record_refusal(event: StrEnum, refusal: Refused, *, actor: Actor, now: datetime) -> AuditEvent:
    """Write that an action said no; called after its rollback, in a transaction of its own."""
    return _write(
        f"{event}.refused",
        refusal.target,
        actor=actor,
        now=now,
        action=actions.current(),
        after={"code": refusal.code},
        reason=str(refusal),
    )


def record_failure(event: StrEnum, error: Exception, *, actor: Actor, now: datetime) -> AuditEvent:
    """Write that an action broke off. The error's kind only: its text may hold anything."""
    return _write(
        f"{event}.failed",
        "",
        actor=actor,
        now=now,
        action=actions.current(),
        after={"error": type(error).__name__},
    )


def name_of(target: models.Model | str) -> str:
    """The stable name of a row in the log, e.g. "custody.withdrawal/0192…"."""
    return target if isinstance(target, str) else f"{target._meta.label_lower}/{target.pk}"


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _write(
    name: str,
    target: models.Model | str,
    *,
    actor: Actor,
    now: datetime,
    action: UUID,
    is_act: bool = False,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    canon = _encoded(
        {
            "v": 1,
            "id": str(new_id()),
            "at": timestamp(now),
            "action": name,
            "act": str(action),
            "actor": {
                "identity": str(actor.identity) if actor.identity else None,
                "kind": actor.kind,
                "label": actor.label,
                "subject": actor.subject,
                "device": actor.device,
                "ip": actor.ip,
                "request": actor.request_id,
                **({"proof": actor.proof} if actor.proof else {}),
                **({"under": actor.under} if actor.under else {}),
            },
            "target": name_of(target),
            "before": _plain(before),
            "after": _plain(after),
            "reason": reason,
        }
    )
    row = AuditEvent.texts.append(canon.decode(), act=action if is_act else None)
    testifying.testify(row.id, canon)
    return row


def _encoded(members: Mapping[str, canonical.Value]) -> bytes:
    try:
        return canonical.encode(members)
    except canonical.NotCanonical as error:
        # Without its event nothing happens, so whoever asked learns why.
        raise NotWritable(
            f"Nothing was done: the audit log cannot hold what would be said of it ({error})."
        ) from None


def _plain(value: Any) -> Any:
    """The value in types that have a canonical encoding; integers become strings where they may be money."""
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, Enum) else value
    if isinstance(value, int):
        return value if abs(value) <= canonical.LARGEST_INTEGER else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Amount):
        return {"units": str(value.units), "asset": value.asset}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, models.Model):
        return name_of(value)
    raise TypeError(f"no place in an audit event for {type(value).__name__}")
