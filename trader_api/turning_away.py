"""Putting on record that somebody was turned away at the trader API's door."""

from __future__ import annotations

from typing import Final

from core import clock
from core.actor import Actor
from customers.actions import record_refused_call
from trader_api import store

RECORDED_EVERY_MS: Final = 60_000


def on_record(target: str, code: str, reason: str, *, actor: Actor) -> None:
    """For each key or customer and code once a minute: whoever is turned away may try again as fast as they
    can, and the log must not grow at their pleasure. For what names nobody known it is not called at all.
    """
    now = clock.now()
    moment = int(now.timestamp() * 1000)
    if store.count(f"refused:{target}:{code}", weight=1, now_ms=moment, window_ms=RECORDED_EVERY_MS) == 1:
        record_refused_call(target=target, code=code, reason=reason, actor=actor, now=now)
