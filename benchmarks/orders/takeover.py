"""Another process takes the venue over while threads go on sending orders through the bridge."""

from __future__ import annotations

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import pairwise
from typing import Final

from benchmarks.orders.answers import are_ok
from benchmarks.orders.engine import Seat
from benchmarks.orders.flow import Flow, Flows
from engine_bridge.adapters import administration
from engine_bridge.adapters.channel import EngineAway, open_channel
from engine_bridge.adapters.client import Bridge
from engine_bridge.domain.commands import Command
from engine_bridge.wire import admin_pb2, admin_pb2_grpc

CALLERS: Final = 64
EACH_S: Final = 0.005
PATIENCE_S: Final = 60.0


class _Callers:
    """Somebody new comes every few milliseconds with an order: when each was acknowledged or refused."""

    def __init__(self, bridge: Bridge, flow: Flow) -> None:
        self.acknowledged: list[float] = []
        self.refused: list[float] = []
        self._bridge = bridge
        self._flow = flow
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(CALLERS)
        self._door = threading.Thread(target=self._come)
        self._door.start()

    def _come(self) -> None:
        while not self._over.wait(EACH_S):
            self._pool.submit(self._order, self._flow.many(1))

    def _order(self, commands: list[Command]) -> None:
        try:
            answers = self._bridge.submit(commands)
        except EngineAway:
            self.refused.append(time.perf_counter())
        else:
            if are_ok(answers):
                self.acknowledged.append(time.perf_counter())

    def end(self) -> None:
        self._over.set()
        self._door.join()
        self._pool.shutdown()


def takeovers(seat: Seat, flows: Flows, *, rounds: int) -> None:
    """Print for each take-over when the next process was ready, and when the bridge had the first order
    acknowledged by it.
    """
    leader = seat.start("--init")
    seat.prepare()
    try:
        for round_ in range(1, rounds + 1):
            for way in ("drain", "kill"):
                standby = seat.start("--standby-socket", str(seat.path("standby")), "--take-over", "auto")
                _caught_up(seat)
                with closing(Bridge(seat.target("o"), library=seat.library)) as bridge:
                    assert bridge.connected()
                    callers = _Callers(bridge, flows.begin())
                    time.sleep(0.5)
                    begun = time.perf_counter()
                    if way == "drain":
                        _drain(seat)
                    else:
                        leader.process.kill()
                    ready = standby.said("ready", PATIENCE_S)
                    time.sleep(1.5)
                    callers.end()
                leader.process.wait(PATIENCE_S)
                leader = standby
                _tell(way, round_, callers, begun, ready)
    finally:
        leader.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            leader.process.wait(PATIENCE_S)


def _tell(way: str, round_: int, callers: _Callers, begun: float, ready: float) -> None:
    moments = sorted(callers.acknowledged)
    gap, end = max((later - earlier, later) for earlier, later in pairwise(moments))
    if not begun < end < ready + 1.0:
        raise SystemExit("orders were not acknowledged for longest at another time: this run tells nothing")
    away = f"{(max(callers.refused) - min(callers.refused)) * 1e3:.0f} ms" if callers.refused else "never"
    print(
        f"{way:<6} round {round_}: next process ready after {(ready - begun) * 1e3:>5.0f} ms, "
        f"first order {(end - ready) * 1e3:>4.0f} ms later; none acknowledged for {gap * 1e3:>5.0f} ms; "
        f"{len(callers.refused)} calls refused, over {away}",
        flush=True,
    )


def _caught_up(seat: Seat) -> None:
    leader, deadline = administration.status(seat.target("a")).durable_seq, time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(EngineAway):
            if administration.status(seat.target("standby")).engine_seq >= leader:
                return
        time.sleep(0.05)
    raise SystemExit("the standby does not catch up")


def _drain(seat: Seat) -> None:
    request = admin_pb2.DrainRequest(release_journal=True, retry_after_ms=500)
    with open_channel(seat.target("a")) as channel:
        admin_pb2_grpc.AdminStub(channel).Drain(request, timeout=PATIENCE_S)
