"""Closed loops: threads that wait for what they sent, one order at a time or hundreds."""

from __future__ import annotations

from collections import deque
from typing import Final

from benchmarks.orders.answers import must_be_ok
from benchmarks.orders.crowd import crowd
from benchmarks.orders.flow import Flow, Flows
from benchmarks.orders.table import Line, added, told
from engine_bridge.adapters import encoding
from engine_bridge.adapters.channel import open_channel
from engine_bridge.adapters.client import Bridge
from engine_bridge.adapters.session import BATCH_MAX
from engine_bridge.wire import order_entry_pb2, order_entry_pb2_grpc

_MADE: Final = 60
"""Batches made beforehand for each thread and piece of a raw run: more would expire meanwhile."""


def single(bridge: Bridge, flows: Flows, seconds: float, threads: int) -> Line:
    """Each thread with one order at a time in `submit`."""
    mine = [flows.begin() for _ in range(threads)]

    def act(index: int) -> int:
        must_be_ok(bridge.submit([mine[index].next()]))
        return 1

    return told(f"bridge {threads} threads", "closed", crowd(threads, seconds, act))


def raw_single(target: str, flows: Flows, seconds: float) -> Line:
    """One thread, unary."""
    with open_channel(target) as channel:
        submit, flow = order_entry_pb2_grpc.OrderEntryStub(channel).SubmitBatch, flows.begin()

        def act(_index: int) -> int:
            assert submit(_batch(flow, 1)).results[0].code == 1
            return 1

        return told("raw unary, 1 thread", "closed", crowd(1, seconds, act))


def batched(bridge: Bridge, flows: Flows, seconds: float, threads: int) -> Line:
    """Each thread with a frame of commands at a time in `submit_batch`, ids and commands made on the way."""
    mine = [flows.begin() for _ in range(threads)]

    def act(index: int) -> int:
        must_be_ok(bridge.submit_batch(mine[index].many(BATCH_MAX)))
        return BATCH_MAX

    return told(f"bridge batch x{threads}", f"{BATCH_MAX} each", crowd(threads, seconds, act))


def raw_batched(target: str, flows: Flows, seconds: float, threads: int) -> Line:
    """The same calls with batches made beforehand and answers only counted."""
    mine = [flows.begin() for _ in range(threads)]
    pieces: list[Line] = []
    with open_channel(target) as channel:
        submit = order_entry_pb2_grpc.OrderEntryStub(channel).SubmitBatch
        while sum(line.seconds for line in pieces) < seconds:
            made = [deque(_batch(flow, BATCH_MAX) for _ in range(_MADE)) for flow in mine]

            def act(index: int, made: list[deque[order_entry_pb2.CommandBatch]] = made) -> int:
                if not made[index]:
                    return 0
                assert len(submit(made[index].popleft()).results) == BATCH_MAX
                return BATCH_MAX

            pieces.append(crowd(threads, seconds, act))
    return told(f"raw batch x{threads}", f"{BATCH_MAX} each", added(pieces))


def _batch(flow: Flow, count: int) -> order_entry_pb2.CommandBatch:
    batch = order_entry_pb2.CommandBatch()
    for command in flow.many(count):
        encoding.fill(batch.commands.add(), command)
    return batch
