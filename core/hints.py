"""Hints: word to the open consoles that an act has committed, so that they look again.

A hint carries the names of the act and of its target, never data, and nobody believes it: whoever gets one
asks again, through the same checks as ever. So a forged hint costs a look, and a lost one some seconds. It
goes out beside the act's thread: a slow or missing Redis neither delays nor fails what was done.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from typing import Final, TypeAlias

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

Act: TypeAlias = "tuple[str, str]"
"""The act's name and its target's, e.g. ("custody.withdrawal.released", "custody.withdrawal/0192…")."""

GROUP: Final = "console"
WAITING_MAX: Final = 500
GATHER_S: Final = 0.05
"""Acts that follow each other within this time leave as one message."""
SEND_WITHIN_S: Final = 2.0


class _Courier:
    """One thread per process, started by its first act, and anew where it has ended."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """With nothing to tell: also in a forked child, whose parent tells what waits, and whose thread may
        have held the lock in that moment. Nobody would ever give it back here.
        """
        self._changed = threading.Condition()
        self._waiting: dict[Act, None] = {}
        self._overflowed = False
        self._thread: threading.Thread | None = None

    def take(self, act: Act) -> None:
        """Remember the act, once; beyond WAITING_MAX only that there was more."""
        with self._changed:
            if len(self._waiting) < WAITING_MAX:
                self._waiting[act] = None
            else:
                self._overflowed = True
            if self._thread is None or not self._thread.is_alive():  # ended by a fault
                self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting)
                    acts = None if self._overflowed else [list(act) for act in self._waiting]
                    self._waiting, self._overflowed = {}, False
                try:
                    runner.run(_send(acts))
                except (OSError, TimeoutError, RedisError) as error:
                    log.warning("hints were lost, so consoles look by themselves: %s", type(error).__name__)
                time.sleep(GATHER_S)


async def _send(acts: list[list[str]] | None) -> None:
    """None stands for more than can be told: look at everything."""
    layer = get_channel_layer()
    async with asyncio.timeout(SEND_WITHIN_S):
        await layer.group_send(GROUP, {"type": "acts", "acts": acts})


_courier: Final = _Courier()
os.register_at_fork(after_in_child=_courier.begin)


def committed(name: str, target: str) -> None:
    """Tell every open console, soon and without waiting. Called once the act has committed."""
    _courier.take((name, target))
