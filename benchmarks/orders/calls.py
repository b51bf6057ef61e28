"""Threads that wait for what they sent, one order at a time or hundreds, in closed loops and in open ones."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from benchmarks.orders.answers import must_be_ok
from benchmarks.orders.crowd import crowd
from benchmarks.orders.flow import Flow, Flows, wire
from benchmarks.orders.table import Line, added, counted, told
from engine_bridge.adapters.channel import open_channel
from engine_bridge.adapters.client import Bridge
from engine_bridge.wire import order_entry_pb2, order_entry_pb2_grpc


def closed(bridge: Bridge, flows: Flows, seconds: float, threads: int, each: int) -> Line:
    """Each thread with one call at a time, ids and commands made on the way."""
    mine = [flows.begin() for _ in range(threads)]

    def act(index: int) -> int:
        must_be_ok(bridge.submit(mine[index].many(each)))
        return each

    return told(f"bridge, {threads} threads", f"{each} a call", crowd(threads, seconds, act))


def open_loop(bridge: Bridge, flows: Flows, rate: int, each: int, seconds: float, threads: int) -> Line:
    """Calls whose moments are fixed beforehand, in threads that take turns, as requests come in."""
    mine, latencies = [flows.begin() for _ in range(threads)], []
    calls, step = int(rate * seconds) // each, each / rate
    begin = time.perf_counter() + 0.1

    def work(index: int) -> None:
        for number in range(index, calls, threads):
            moment = begin + number * step
            if (early := moment - time.perf_counter()) > 0:
                time.sleep(early)
            must_be_ok(bridge.submit(mine[index].many(each)))
            if number >= calls // 10:  # the first tenth is not counted
                latencies.append(time.perf_counter() - moment)

    spent = time.process_time()
    with ThreadPoolExecutor(threads) as crew:
        list(crew.map(work, range(threads)))
    took, spent = time.perf_counter() - begin, time.process_time() - spent
    line = Line(calls * each, took, spent, counted(latencies))
    return told(f"bridge, {each} a call", f"{rate:,}/s", line)


def beside(bridge: Bridge, flows: Flows, seconds: float, computing: int) -> Line:
    """One order at a time while other threads compute without a pause."""
    over, flow = threading.Event(), flows.begin()

    def compute() -> None:
        while not over.is_set():
            sum([number * number for number in range(300)])

    def act(_index: int) -> int:
        must_be_ok(bridge.submit(flow.many(1)))
        return 1

    with ThreadPoolExecutor(computing) as others:
        for _ in range(computing):
            others.submit(compute)
        try:
            line = crowd(1, seconds, act)
        finally:
            over.set()
    return told(
        f"beside {computing} computing", "1 a call", line, f"switch {sys.getswitchinterval() * 1e3:.1f} ms"
    )


def raw_closed(target: str, flows: Flows, seconds: float, threads: int, each: int) -> Line:
    """The same calls with batches made beforehand and answers only counted."""
    mine = [flows.begin() for _ in range(threads)]
    pieces: list[Line] = []
    with open_channel(target) as channel:
        submit = order_entry_pb2_grpc.OrderEntryStub(channel).SubmitBatch
        while sum(line.seconds for line in pieces) < seconds:
            made = [deque(_batch(flow, each) for _ in range(_made(each))) for flow in mine]

            def act(index: int, made: list[deque[order_entry_pb2.CommandBatch]] = made) -> int:
                if not made[index]:
                    return 0
                assert len(submit(made[index].popleft()).results) == each
                return each

            pieces.append(crowd(threads, seconds, act))
    return told(f"raw, {threads} threads", f"{each} a call", added(pieces))


def _made(each: int) -> int:
    """How many batches are made beforehand for a thread and a piece of a run: more would expire meanwhile."""
    return min(3_000, 30_000 // each)


def _batch(flow: Flow, count: int) -> order_entry_pb2.CommandBatch:
    return order_entry_pb2.CommandBatch(commands=wire(flow.many(count)))
