"""Making room for another engine."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core import audit
from core.action import action
from core.actor import Actor
from engine_bridge.events import Event

TARGET: Final = "engine_bridge.enginecursor/1"


@action(Event.HANDOVER_BEGUN)
def note_handover(*, reason: str, before: str, after: str, actor: Actor, now: datetime) -> None:
    """Write down, before it happens, that the engine is to end so that its standby leads, and why."""
    audit.record(
        Event.HANDOVER_BEGUN,
        TARGET,
        actor=actor,
        now=now,
        before={"version": before},
        after={"version": after},
        reason=reason,
    )
