"""Who acts: the officer behind an actor, if the permission is held at this moment."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from core.access import rights
from core.access.models import Identity
from core.actor import Actor
from core.refusals import NotAllowed, Refused


class ReasonMissing(Refused):
    """The act needs a reason in words."""

    code = "custody.reason_missing"
    status = 422


def officer(actor: Actor, permission: StrEnum, *, now: datetime, target: str) -> Identity:
    """The acting officer; NotAllowed for everybody who does not hold the permission now."""
    found = rights.officer_behind(actor)
    if found is None or not rights.allowed(found, permission, now):
        raise NotAllowed("Your role does not do this; nothing was changed.", target=target)
    return found


def officer_or_machine(actor: Actor, permission: StrEnum, *, now: datetime, target: str) -> None:
    """Pass for our own tasks and daemons, and for officers who hold the permission; NotAllowed for the
    rest.
    """
    if actor.kind != "system" or actor.identity is not None:
        officer(actor, permission, now=now, target=target)


def said(reason: str, *, target: str) -> str:
    """The reason, trimmed; ReasonMissing where there is none."""
    text = " ".join(reason.split())[:500]
    if not text:
        raise ReasonMissing("Nothing was changed: say why.", target=target)
    return text
