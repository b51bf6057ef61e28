"""What officers see of the engine, carried from its admin socket to Redis every second.

A thread of its own beside settlement: where settlement stands still, whoever looks for the reason still sees
the engine and its books.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final

from core import clock
from engine_bridge.adapters import administration, inspection, notes, vitals
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.daemons.beside import beside

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
LEVELS: Final = 12
"""So many prices a side are carried."""


def look(target: str, *, now: datetime) -> None:
    """Leave the engine's word on itself and its books, or that it gave none; EngineAway, NotesDown."""
    try:
        verification = inspection.verify(target, begin=False)
        vitals.leave(administration.status(target), verification, now=now)
        for instrument, state in administration.listed(target).items():
            depth = inspection.depth(target, instrument=instrument, levels=LEVELS)
            vitals.leave_depth(instrument, depth, state=state, now=now)
    except EngineAway as away:
        vitals.leave_silence(str(away), now=now)
        raise


def watching(target: str) -> AbstractContextManager[None]:
    """Look every second until the block ends. Who cannot be reached is only old news on the screen."""

    def work(stop: threading.Event) -> None:
        heard = True
        while not stop.wait(EVERY_S):
            try:
                look(target, now=clock.now())
                heard = True
            except (EngineAway, notes.NotesDown) as error:
                if heard:
                    log.warning("nothing new of the engine for the console: %s", error)
                heard = False
            except Exception:
                # A fault in one look must not end the watch: the next second may find an engine again.
                log.exception("the engine cannot be looked at")

    return beside("engine-watch", work, join_s=2 * inspection.CALL_S)
