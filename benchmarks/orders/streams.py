"""Open loop: every order's moment is fixed beforehand, and its latency counts from then."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from typing import Any

from grpc import aio

from benchmarks.orders.answers import are_ok, must_be_ok
from benchmarks.orders.flow import Flow
from benchmarks.orders.pace import Pace
from benchmarks.orders.table import Line, counted, told
from engine_bridge.adapters import encoding
from engine_bridge.adapters.channel import OPTIONS, UNIX_OPTIONS, EngineBusy
from engine_bridge.adapters.client import Bridge
from engine_bridge.adapters.session import BATCH_MAX, FRAMES_IN_FLIGHT_MAX
from engine_bridge.wire import order_entry_pb2, order_entry_pb2_grpc


async def bridged(target: str, flow: Flow, rate: int, seconds: float) -> Line:
    """Each order a task that awaits `submit_async`, as a request would, in a process of one loop."""
    latencies, pace = [], Pace(rate, seconds)
    wrong: list[Any] = []
    left, busy, last = pace.count, 0, 0.0
    bridge = Bridge(target, loop=asyncio.get_running_loop())
    assert await asyncio.to_thread(bridge.connected)
    ended = asyncio.Event()

    async def order(index: int, moment: float) -> None:
        nonlocal left, busy, last
        command = flow.next()
        try:
            answers = await bridge.submit_async([command])
            last = time.perf_counter()
            if not are_ok(answers):
                wrong.extend(answers)
            if index >= pace.warm:
                latencies.append(last - moment)
        except EngineBusy:
            flow.refused(command)
            busy += 1
        left -= 1
        if not left:
            ended.set()

    running: set[asyncio.Task[None]] = set()

    def act(index: int, moment: float) -> None:
        task = asyncio.get_running_loop().create_task(order(index, moment))
        running.add(task)
        task.add_done_callback(running.discard)

    spent = time.process_time()
    begin = await pace.run(act)
    await ended.wait()
    spent = time.process_time() - spent
    bridge.close()
    must_be_ok(wrong)
    more = f"BUSY {busy}; {pace.late}" if busy else pace.late
    line = Line(pace.count - busy, last - begin, spent, counted(latencies))
    return told("bridge open loop", f"{rate:,}/s", line, more)


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
            ready = min(self._answered + len(self._moments) - self._sent, BATCH_MAX)
            if not ready or self._frames >= FRAMES_IN_FLIGHT_MAX:
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


async def raw(target: str, flow: Flow, rate: int, seconds: float) -> Line:
    """What grpc and the engine take by themselves."""
    pace = Pace(rate, seconds)
    batch = order_entry_pb2.CommandBatch()
    for number in range(1, pace.count + 1):
        encoding.fill(batch.commands.add(session_seq=number), flow.next())
    async with aio.insecure_channel(target, options=(*OPTIONS, *UNIX_OPTIONS)) as channel:
        call = order_entry_pb2_grpc.OrderEntryStub(channel).Session()
        hello = order_entry_pb2.Hello(protocol_version=1, session_id=os.urandom(16), next_session_seq=1)
        await call.write(order_entry_pb2.ClientFrame(hello=hello))
        await call.read()
        client = _Raw(call, list(batch.commands), pace.warm)
        work = [asyncio.create_task(part) for part in (client.send(), client.receive())]
        spent = time.process_time()
        begin = await pace.run(client.act)
        await asyncio.gather(*work)
        spent = time.process_time() - spent
        call.cancel()
    line = Line(pace.count, client.last - begin, spent, counted(client.latencies))
    return told("raw open loop", f"{rate:,}/s", line, pace.late)
