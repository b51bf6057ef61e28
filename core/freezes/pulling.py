"""Pulling a freeze: a primitive, so that an automatic alarm can pull one inside its own action."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from functools import partial
from typing import Final

from django.db import connection, transaction
from django.db.models import CharField, Exists, OuterRef, Value
from django.db.models.functions import Cast, Concat

from core import action, audit, outbox
from core.actor import Actor
from core.approvals.domain.requests import State
from core.approvals.models import ApprovalRequest
from core.freezes import holding
from core.freezes.domain.scopes import checked
from core.freezes.events import Event, FreezePulled
from core.freezes.models import Freeze

REASON_MAX: Final = Freeze._meta.get_field("reason").max_length
_LOCKS: Final = 0x66727A65  # the namespace of advisory locks on what is being frozen


def pull(scope: str, *, reason: str, actor: Actor, now: datetime) -> Freeze:
    """Bring a freeze into force, or give back the one that this actor has there already.

    Everybody's is their own, and what is released is one of them: whoever stops something while the release
    of an earlier freeze is under way, or is being signed this moment, is not let go with it. Whatever is too
    long to be kept is cut off: nothing is left running because somebody explained at length.

    The act in which it is pulled returns when what was under way is over: behind it the freeze forbids
    whatever has not happened.
    """
    action.lastly(_outlast, scope)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCKS, checked(scope)])
    standing = _standing(scope, actor)
    if standing is not None:
        return standing
    row = Freeze.objects.create(
        scope=scope, reason=reason.strip()[:REASON_MAX], pulled_by_id=actor.identity, pulled_at=now
    )
    audit.record(Event.PULLED, row, actor=actor, now=now, after={"scope": scope}, reason=row.reason)
    outbox.publish(FreezePulled(freeze=str(row.pk), scope=scope), now=now)
    return row


def _outlast(scopes: Set[str]) -> None:
    """The act's last deed, so the waiting is behind whatever else is done once it has been kept."""
    transaction.on_commit(partial(holding.await_others, scopes))


def _standing(scope: str, actor: Actor) -> Freeze | None:
    """The actor's freeze of it that is in force, if nobody has asked for its release: who has did not know
    what is said now. One question, so that nothing is released between two.
    """
    name = Concat(Value("freezes.freeze/"), Cast(OuterRef("pk"), CharField()))
    asked = ApprovalRequest.objects.filter(subject=name, state__in=[State.OPEN, State.APPROVED])
    mine = Freeze.objects.filter(~Exists(asked), scope=scope, pulled_by=actor.identity, released_at=None)
    return mine.order_by("-pulled_at", "-id").first()
