"""Moments fixed beforehand, and a process beside us that says when to look at them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.0002

# Sends a byte at each tick, and at the end how late it was woken: p99 and the most, in microseconds.
_TICKER: Final = f"""
import os, sys, time
end, late = time.perf_counter() + float(sys.argv[1]), []
while time.perf_counter() < end:
    asked = time.perf_counter()
    time.sleep({TICK_S})
    late.append(time.perf_counter() - asked - {TICK_S})
    os.write(1, b".")
late.sort()
os.write(2, f"{{late[len(late) * 99 // 100] * 1e6:.0f}} {{late[-1] * 1e6:.0f}}".encode())
"""


class Pace:
    """`count` moments at a rate, told by callbacks that cost this process as little as they can.

    Nothing finer than `late` can be claimed: how late this machine wakes anybody.
    """

    def __init__(self, rate: int, seconds: float, *, each: int = 1) -> None:
        """`each` fall together, as many as one call brings."""
        self.count = int(rate * seconds)
        self.warm = self.count // 10
        """The first tenth is not counted."""
        self._each = each
        self._step = each / rate
        self._seconds = seconds
        self.late = ""

    async def run(self, act: Callable[[int, float], None]) -> float:
        """Call `act(index, moment)` for all that is due at each tick; the moment of the first."""
        process = subprocess.Popen(  # noqa: ASYNC220 - before anything is measured
            [sys.executable, "-S", "-c", _TICKER, str(self._seconds + 1.0)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        ticks, loop = process.stdout.fileno(), asyncio.get_running_loop()
        os.read(ticks, 1)
        begin, index, ended = time.perf_counter(), 0, loop.create_future()

        def tick() -> None:
            nonlocal index
            more = os.read(ticks, 65_536)
            due = min(self.count, (int((time.perf_counter() - begin) / self._step) + 1) * self._each)
            while index < due:
                act(index, begin + index // self._each * self._step)
                index += 1
            if not more:
                loop.remove_reader(ticks)
                ended.set_result(None)

        loop.add_reader(ticks, tick)
        await ended
        _, late = process.communicate()
        self.late = "late wake-ups p99 {} max {} us".format(*late.decode().split())
        if index < self.count:
            raise SystemExit("the ticks ended too early")
        return begin
