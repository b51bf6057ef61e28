"""Acts rest on the authenticators that let them begin: what is taken away meanwhile carries none of them."""

from __future__ import annotations

from datetime import datetime

from core.access.models import Identity
from core.actor import Actor
from core.endings import NEVER
from core.factors import queries


def entrance(actor: Actor, challenge: str, now: datetime) -> datetime | None:
    """The ceremony that entered the session."""
    return NEVER if queries.entered(Identity(pk=actor.identity), challenge=challenge) else None


def ceremony(actor: Actor, challenge: str, now: datetime) -> datetime | None:
    """The ceremony that confirmed this very act."""
    return NEVER if queries.proves(challenge) else None
