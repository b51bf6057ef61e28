"""Writing down that a call was turned away."""

from __future__ import annotations

from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from customers.events import Event


@action(Event.CALL_REFUSED)
def record_refused_call(*, target: str, code: str, reason: str, actor: Actor, now: datetime) -> None:
    """A call with a customer's key or password failed its proof, came from elsewhere, came twice, or asked
    for more than the key may. `target` is the key or customer, `code` what the client was told.
    """
    audit.record(Event.CALL_REFUSED, target, actor=actor, now=now, after={"code": code}, reason=reason)
