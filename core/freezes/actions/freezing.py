"""An officer stops something, at once and alone."""

from __future__ import annotations

from datetime import datetime

from core.access import rights
from core.action import action
from core.actor import Actor
from core.freezes.domain.scopes import BadScope, checked
from core.freezes.events import Event
from core.freezes.models import Freeze
from core.freezes.permissions import Permission
from core.freezes.pulling import pull
from core.refusals import NotAllowed, Refused


class ReasonMissing(Refused):
    """A freeze says why."""

    code = "freeze.reason_missing"
    status = 422


class UnknownScope(Refused):
    """Nothing of that name can be frozen."""

    code = "freeze.unknown_scope"
    status = 422


@action(Event.PULLED)
def pull_freeze(*, scope: str, reason: str, actor: Actor, now: datetime) -> Freeze:
    """Freeze the scope now, whoever else has: nobody but two others than this officer lets go of it."""
    if not rights.allowed(rights.officer_behind(actor), Permission.PULL_FREEZE, now):
        raise NotAllowed(
            "Your role does not pull freezes; nothing was frozen.", target=f"freezes/{scope[:96]}"
        )
    try:
        checked(scope)
    except BadScope:
        raise UnknownScope("Nothing of that name can be frozen; nothing was frozen.") from None
    if not reason.strip():
        raise ReasonMissing("Nothing was frozen: say why.", target=f"freezes/{scope}")
    return pull(scope, reason=reason, actor=actor, now=now)
