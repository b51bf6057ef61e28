"""Orders per second through the bridge and the durable engine, from one Python process.

    python -m benchmarks.bridge [--engine PATH] [--seconds 5] [--rates 1000,5000,20000] [--no-fsync]

Three ways in, each beside the same commands sent raw, over grpc, in the same run:

    open loop   every order's moment is fixed beforehand and its latency counts from then; each order is a
                task of its own that awaits `submit_async`, as a request would. Raw: the same ack-clocked
                stream over grpc.aio, with commands made beforehand and nothing kept of an answer.
    closed      16 threads, each with one order at a time in `submit`. Raw: one thread, unary.
    batched     threads with 512 commands at a time in `submit_batch`, ids and commands made on the way. Raw:
                the same calls with batches made beforehand.

Half of the commands place a resting limit order, half cancel an earlier one; every one of them must be
answered OK. The engine is a process of its own, release build, on a unix socket, and flushes before it
answers. Ticks come from a small process of their own, which also tells how late this machine wakes anybody:
nothing finer can be claimed. The first tenth of a run is dropped. CPU is this process's alone, and the figure
that a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.orders import calls, streams
from benchmarks.orders.engine import engine_running
from benchmarks.orders.flow import Flows
from benchmarks.orders.table import compared, head, machine
from engine_bridge.adapters.client import Bridge

THREADS: Final = 16
CALLERS: Final = (1, 2, 4)
ROOT: Final = Path(__file__).resolve().parents[1]


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    reader.add_argument("--engine", type=Path, default=ROOT / "engine/target/release/countersign-engine")
    reader.add_argument("--dir", help="where the journal lies; its disk decides the durable figures")
    reader.add_argument("--seconds", type=float, default=5.0)
    reader.add_argument("--rates", default="1000,5000,20000")
    reader.add_argument("--no-fsync", action="store_true")
    asked = reader.parse_args()
    flows = Flows()
    head()
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=asked.dir) as folder,
        engine_running(asked.engine, Path(folder), fsync=not asked.no_fsync) as target,
        asyncio.Runner() as runner,
    ):
        gc.freeze()
        for rate in [int(text) for text in asked.rates.split(",") if text]:
            raw = runner.run(streams.raw(target, flows.begin(), rate, min(asked.seconds, 5.0)))
            compared(runner.run(streams.bridged(target, flows.begin(), rate, asked.seconds)), raw)
        bridge = Bridge(target)
        assert bridge.connected()
        raw = calls.raw_single(target, flows, asked.seconds / 2)
        compared(calls.single(bridge, flows, asked.seconds, THREADS), raw)
        for callers in CALLERS:
            raw = calls.raw_batched(target, flows, asked.seconds / 2, callers)
            compared(calls.batched(bridge, flows, asked.seconds, callers), raw)
        bridge.close()
    machine()


if __name__ == "__main__":
    main()
