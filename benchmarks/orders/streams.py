"""Open loop over grpc itself: every order's moment is fixed beforehand, and its latency counts from then."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from typing import Any, Final

from grpc import aio

from benchmarks.orders.flow import Flow, wire
from benchmarks.orders.pace import Pace
from benchmarks.orders.table import Line, counted, told
from engine_bridge.adapters.channel import OPTIONS, UNIX_OPTIONS
from engine_bridge.wire import order_entry_pb2, order_entry_pb2_grpc

_BATCH_MAX: Final = 512
_FRAMES_IN_FLIGHT_MAX: Final = 8
"""As the bridge's own (engine/bridge/src/session.rs)."""


class _Raw:
    """The same ack-clocked stream over grpc.aio: commands made beforehand, nothing kept of an answer."""

    def __init__(self, call: Any, commands: list[order_entry_pb2.Command], warm: int) -> None:
        self.latencies: list[float] = []
        self.last = 0.0
        self._call, self._commands, self._warm = call, commands, warm
        self._moments: deque[float] = deque()
        self._sent = self._answered = self._frames = 0
        self._wake = asyncio.Event()

    def act(self, _index: int, moment: float) -> None:
        self._moments.append(moment)
        self._wake.set()

    async def send(self) -> None:
        while self._sent < len(self._commands):
            ready = min(self._answered + len(self._moments) - self._sent, _BATCH_MAX)
            if not ready or self._frames >= _FRAMES_IN_FLIGHT_MAX:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = order_entry_pb2.CommandBatch(commands=self._commands[self._sent : self._sent + ready])
            self._sent, self._frames = self._sent + ready, self._frames + 1
            await self._call.write(order_entry_pb2.ClientFrame(batch=batch))

    async def receive(self) -> None:
        while self._answered < len(self._commands):
            frame = await self._call.read()
            if frame.WhichOneof("frame") != "results":
                continue
            self.last = time.perf_counter()
            for result in frame.results.results:
                assert result.code == 1, result
                moment = self._moments.popleft()
                self._answered += 1
                if self._answered > self._warm:
                    self.latencies.append(self.last - moment)
            self._frames -= 1
            self._wake.set()


async def raw(target: str, flow: Flow, rate: int, each: int, seconds: float) -> Line:
    """What grpc and the engine take by themselves."""
    pace = Pace(rate, seconds, each=each)
    commands = wire(flow.many(pace.count))
    for number, command in enumerate(commands, 1):
        command.session_seq = number
    async with aio.insecure_channel(target, options=(*OPTIONS, *UNIX_OPTIONS)) as channel:
        call = order_entry_pb2_grpc.OrderEntryStub(channel).Session()
        hello = order_entry_pb2.Hello(protocol_version=1, session_id=os.urandom(16), next_session_seq=1)
        await call.write(order_entry_pb2.ClientFrame(hello=hello))
        await call.read()
        client = _Raw(call, commands, pace.warm)
        work = [asyncio.create_task(part) for part in (client.send(), client.receive())]
        spent = time.process_time()
        begin = await pace.run(client.act)
        await asyncio.gather(*work)
        spent = time.process_time() - spent
        call.cancel()
    line = Line(pace.count, client.last - begin, spent, counted(client.latencies))
    return told(f"raw, {each} a call", f"{rate:,}/s", line, pace.late)
