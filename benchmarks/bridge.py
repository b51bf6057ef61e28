"""Orders per second through the bridge and the durable engine, from one Python process.

    python -m benchmarks.bridge [--engine PATH] [--seconds 5] [--open 1000x1,20000x20] [--takeovers N]

Threads call `submit`, as the trader API's requests do, each part beside the same commands sent raw, over
grpc, in the same run:

    open loop   RATExEACH: so many orders a second in calls of so many (a request brings up to
                20). Every call's moment is fixed beforehand and its latency counts from then. Raw:
                an ack-clocked stream over grpc.aio, with commands made beforehand and nothing kept of an
                answer. Behind it what the disk alone takes for a flush at each of the same moments.
    closed      threads with one call at a time, of one order or of hundreds; ids and commands are made on the
                way. Raw: unary calls, with batches made beforehand and answers only counted.
    beside      single orders while another thread here computes, as other requests do: with Python's
                own switch interval, and with backoffice/asgi.py's, with which all the rest is run.
    take-overs  another process leads, after a drain and after a kill, while threads go on: when it was ready,
                and for how long no order was acknowledged.

Half of the commands place a resting limit order, half cancel an earlier one; every one of them must be
answered OK. The engine is a process of its own, release build, on a unix socket, and flushes before it
answers. The raw open loop's ticks come from a small process of their own, which also tells how late this
machine wakes anybody: nothing finer can be claimed. The first tenth of an open loop is dropped. CPU is this
process's alone, and the figure that a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.orders import calls, disk, streams
from benchmarks.orders.engine import Seat, engine_running, line
from benchmarks.orders.flow import Flows
from benchmarks.orders.table import compared, head, machine
from benchmarks.orders.takeover import takeovers
from engine_bridge.adapters.client import Bridge

THREADS: Final = 16
SINGLE: Final = ((1, 1), (THREADS, 1))
BATCHED: Final = ((1, 512), (2, 512), (4, 512), (1, 2_048), (2, 2_048))
"""Threads, and orders in a call."""
COMPUTING: Final = 1
SWITCH_S: Final = 0.001
"""As in backoffice/asgi.py."""
ROOT: Final = Path(__file__).resolve().parents[1]


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    reader.add_argument("--engine", type=Path, default=ROOT / "engine/target/release/countersign-engine")
    reader.add_argument("--dir", help="where the journal lies; its disk decides the durable figures")
    reader.add_argument("--seconds", type=float, default=5.0)
    reader.add_argument("--open", default="1000x1,5000x1,20000x20")
    reader.add_argument("--no-fsync", action="store_true")
    reader.add_argument("--takeovers", type=int, default=0, metavar="N", help="only these, N times each way")
    asked = reader.parse_args()
    flows = Flows()
    pythons_own = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    if asked.takeovers:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.dir) as folder:
            seat = Seat(asked.engine, Path(folder), fsync=not asked.no_fsync)
            takeovers(seat, flows, rounds=asked.takeovers)
        machine()
        return
    head()
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=asked.dir) as folder,
        engine_running(asked.engine, Path(folder), fsync=not asked.no_fsync) as target,
        closing(Bridge(target, library=line(asked.engine))) as bridge,
    ):
        assert bridge.connected()
        gc.freeze()
        for wanted in asked.open.split(","):
            rate, each = map(int, wanted.split("x"))
            raw = asyncio.run(streams.raw(target, flows.begin(), rate, each, min(asked.seconds, 5.0)))
            compared(calls.open_loop(bridge, flows, rate, each, asked.seconds, THREADS), raw)
            if not asked.no_fsync:
                disk.alone(Path(folder), rate, each, min(asked.seconds, 5.0))
        for threads, each in SINGLE + BATCHED:
            raw = calls.raw_closed(target, flows, asked.seconds / 2, threads, each)
            compared(calls.closed(bridge, flows, asked.seconds, threads, each), raw)
        for switch_s in (pythons_own, SWITCH_S):
            sys.setswitchinterval(switch_s)
            calls.beside(bridge, flows, asked.seconds, COMPUTING)
    machine()


if __name__ == "__main__":
    main()
