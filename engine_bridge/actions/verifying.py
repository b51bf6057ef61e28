"""Having the engine read its journal again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core import audit, outbox
from core.access import rights
from core.action import action
from core.actor import Actor
from core.refusals import NotAllowed
from engine_bridge.events import Event, JournalVerifyAsked
from engine_bridge.permissions import Permission

TARGET: Final = "engine_bridge.enginecursor/1"


@action(Event.JOURNAL_VERIFY_ASKED)
def ask_verification(*, actor: Actor, now: datetime) -> None:
    """Have a worker tell the engine to verify every closed segment. Where one is under way, it goes on.

    It reads, at the lowest priority, and changes nothing: so one officer's word is enough.
    """
    if not rights.allowed(rights.officer_behind(actor), Permission.VERIFY_JOURNAL, now):
        raise NotAllowed("Your role does not verify the journal; nothing was begun.", target=TARGET)
    audit.record(Event.JOURNAL_VERIFY_ASKED, TARGET, actor=actor, now=now)
    outbox.publish(JournalVerifyAsked(asked_at=now.isoformat()), now=now)
