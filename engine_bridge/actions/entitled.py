"""Who may have a market or an account's fees changed, that they say why, and the market that they name."""

from __future__ import annotations

from datetime import datetime

from core.access import rights
from core.access.models import Identity
from core.actor import Actor
from core.refusals import NotAllowed, NotFound, Refused
from engine_bridge import locks
from engine_bridge.models import Instrument
from engine_bridge.permissions import Permission


class ReasonMissing(Refused):
    """Whoever changes what is traded, or at which fee, says why."""

    code = "market.reason_missing"
    status = 422


def target_of(symbol: str) -> str:
    """The market's name in the log, also of one that does not exist."""
    return f"engine_bridge.instrument/{symbol[:30]}"


def officer(actor: Actor, permission: Permission, *, to: str, target: str, now: datetime) -> Identity:
    """The acting officer; NotAllowed, in the words of `to`, for whoever does not hold the permission now."""
    found = rights.officer_behind(actor)
    if found is None or not rights.allowed(found, permission, now):
        raise NotAllowed(f"Your role does not {to}; nothing was changed.", target=target)
    return found


def said(reason: str, *, target: str) -> str:
    """The reason, trimmed; ReasonMissing where there is none."""
    if not reason.strip():
        raise ReasonMissing("Nothing was changed: say why.", target=target)
    return reason.strip()


def market(symbol: str) -> Instrument:
    """The market, locked; NotFound."""
    row = locks.instrument(symbol)
    if row is None:
        raise NotFound("There is no such market.", target=target_of(symbol))
    return row
