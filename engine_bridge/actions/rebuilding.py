"""Making the mirrors again from the engine's first event on, at an officer's word."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core.access import rights
from core.action import action
from core.actor import Actor
from core.refusals import NotAllowed, Refused
from engine_bridge.actions.settlement import clear_mirrors
from engine_bridge.events import Event
from engine_bridge.permissions import Permission

TYPED: Final = "rebuild"
TARGET: Final = "engine_bridge.enginecursor/1"


class NotConfirmed(Refused):
    """The word that is to be typed was another one."""

    code = "mirrors.not_confirmed"
    status = 422


class NoReason(Refused):
    """A rebuild says why."""

    code = "mirrors.reason_missing"
    status = 422


@action(Event.MIRRORS_CLEARED)
def rebuild_mirrors(*, typed: str, reason: str, actor: Actor, now: datetime) -> int:
    """Empty the mirrors and have settlement write them again; the event that they had reached.

    Nothing of the money changes: postings stay, and each is held against its event once more. Settlement may
    die on the way as often as it likes; it goes on from its cursor.
    """
    if not rights.allowed(rights.officer_behind(actor), Permission.REBUILD_MIRRORS, now):
        raise NotAllowed("Your role does not rebuild the mirrors; nothing was changed.", target=TARGET)
    if typed.strip() != TYPED:
        raise NotConfirmed(f"Nothing was changed: type {TYPED} to confirm.", target=TARGET)
    if not reason.strip():
        raise NoReason("Nothing was changed: say why.", target=TARGET)
    return clear_mirrors(actor=actor, now=now, reason=reason.strip())
