"""A leader that has just begun is confirmed as soon as it answers.

A thread of its own beside settlement, which may have much to write, stand still, or wait for another process
to end: until somebody has looked at what officers stopped, every order is refused.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager
from typing import Final

from django.db import connection

from core import clock
from engine_bridge import tasks
from engine_bridge.adapters import administration
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.daemons.beside import beside

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.05
"""To find nobody on a socket costs nothing, and clients wait for this once somebody leads."""
FAULT_S: Final = 1.0
JOIN_S: Final = 2.0


def follow(target: str, *, stop: threading.Event) -> None:
    """Confirm whoever leads and waits for it, now or later, until it ends: EngineAway.

    Also what the confirmation raises: whoever begins again tries again.
    """
    for found in administration.watch(target):
        if stop.is_set():
            return
        if found.awaits_confirmation:
            _confirm()


def _confirm() -> None:
    try:
        tasks.assert_market_states(now=clock.now())
    finally:
        # It is needed for nothing before the next leader begins.
        connection.close()


def confirming(target: str) -> AbstractContextManager[None]:
    """Do so with one leader after the other, until the block ends. Two processes at once do no harm."""

    def work(stop: threading.Event) -> None:
        while not stop.is_set():
            pause_s = PAUSE_S
            try:
                follow(target, stop=stop)
            except EngineAway:
                pass  # settlement says so
            except Exception:
                # A fault must not end this: nobody would trade under the next leader.
                log.exception("the leader is not confirmed")
                pause_s = FAULT_S
            stop.wait(pause_s)

    return beside("engine-confirm", work, join_s=JOIN_S)
