"""Orders per second through the bridge and the durable engine, from one Python process.

    python -m benchmarks.bridge [--engine PATH] [--seconds 5] [--rates 1000,5000,20000,50000] [--no-fsync]

Three ways in, each beside the same commands sent raw in the same run:

    open loop   every order's moment is fixed beforehand and its latency counts from then; each order is a
                task of its own that awaits `submit_async`, as a request would. Raw: the same ack-clocked
                stream over grpc.aio, with commands made beforehand and nothing kept of an answer.
    closed      16 threads, each with one order at a time in `submit`. Raw: one thread, unary.
    batched     threads with 512 commands at a time in `submit_batch`, ids and commands made on the way. Raw:
                the same calls with batches made beforehand.

Half of the commands place a resting limit order, half cancel an earlier one; every one of them must be
answered OK. The engine is a process of its own, release build, on a unix socket, and flushes before it
answers. Ticks come from a small process of their own, which also tells how late this machine wakes anybody:
nothing finer can be claimed. Histograms are HDR with three digits; the first tenth of a run is dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from hdrh.histogram import HdrHistogram

from core.ids import new_id
from engine_bridge.adapters import administration, encoding, transfers
from engine_bridge.adapters.channel import EngineAway, EngineBusy, open_aio_channel, open_channel
from engine_bridge.adapters.client import Bridge
from engine_bridge.adapters.session import BATCH_MAX, FRAMES_IN_FLIGHT_MAX
from engine_bridge.domain import assets
from engine_bridge.domain.commands import ORDER_LIFETIME_MS, CancelOrder, Command, MoveFunds, PlaceOrder
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.domain.orders import OrderTerms, OrderType, Side, StpMode
from engine_bridge.domain.results import Result, ResultCode
from engine_bridge.wire import order_entry_pb2, order_entry_pb2_grpc
from kernel.money import asset

ACCOUNT: Final = 7
RESTING: Final = 2_000
LEVELS: Final = 400
THREADS: Final = 16
TICK_S: Final = 0.0001
ROOT: Final = Path(__file__).resolve().parents[1]

# Sends a byte at each tick, and at the end how late it was woken: p99 and the most, in microseconds.
TICKER: Final = f"""
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


class Flow:
    """Commands without end: place, and cancel what has rested for long enough."""

    def __init__(self) -> None:
        self._number = 0
        self._resting: deque[int] = deque()
        self._terms = [
            OrderTerms(Side.SELL, OrderType.LIMIT, 400_000 + level, 10 + level % 7, 0, "", "",
                       StpMode.CANCEL_MAKER, quote_sized=False)
            for level in range(LEVELS)
        ]  # fmt: skip

    def next(self) -> Command:
        expires = time.time_ns() // 1_000_000 + ORDER_LIFETIME_MS
        if len(self._resting) >= RESTING:
            return CancelOrder(new_id(), expires, self._resting.popleft(), ACCOUNT)
        self._number += 1
        self._resting.append(self._number)
        terms = self._terms[self._number % LEVELS]
        return PlaceOrder(new_id(), expires, self._number, LISTINGS[0].number, ACCOUNT, terms)


class Flows:
    """Numbers that no other flow has used, so that each part of a run begins with its own orders."""

    def __init__(self) -> None:
        self._begun = 0

    def begin(self) -> Flow:
        flow = Flow()
        self._begun += 1
        flow._number = self._begun * 10_000_000
        return flow


def histogram() -> HdrHistogram:
    return HdrHistogram(1, 60_000_000, 3)


def told(name: str, offered: str, count: int, seconds: float, latency: HdrHistogram, more: str = "") -> None:
    """One line of the table; latencies in microseconds."""
    marks = [latency.get_value_at_percentile(share) for share in (50, 90, 99, 99.9)]
    columns = "".join(f"{mark:>10,}" for mark in [*marks, latency.get_max_value()])
    print(f"{name:<20}{offered:>10}{count / seconds:>12,.0f}/s{columns}  {more}", flush=True)


def must_be_ok(answers: list[Any]) -> None:
    for answer in answers:
        if not isinstance(answer, Result) or answer.code is not ResultCode.OK:
            raise SystemExit(f"a command was answered {answer}: this run counts for nothing")


class Pace:
    """Moments fixed beforehand, and the ticks that say when to look at them."""

    def __init__(self, rate: int, seconds: float) -> None:
        self.count = int(rate * seconds)
        self._step = 1 / rate
        self._seconds = seconds
        self.late = ""

    async def run(self, act: Callable[[int, float], None]) -> float:
        """Call `act(index, moment)` for all that is due at each tick; the moment of the first."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", TICKER, str(self._seconds + 1.0),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.read(4096)
        begin, index = time.perf_counter(), 0
        while index < self.count:
            due = min(self.count, int((time.perf_counter() - begin) / self._step) + 1)
            while index < due:
                act(index, begin + index * self._step)
                index += 1
            if not await process.stdout.read(65_536):
                break
        while await process.stdout.read(65_536):
            pass
        self.late = "late wake-ups p99 {} max {}".format(*(await process.stderr.read()).decode().split())
        await process.wait()
        if index < self.count:
            raise SystemExit("the ticks ended too early")
        return begin


async def open_loop(bridge: Bridge, flow: Flow, rate: int, seconds: float) -> None:
    latency, done, tasks = histogram(), [0.0], set()
    pace = Pace(rate, seconds)
    warm, busy = pace.count // 10, [0]

    async def order(index: int, moment: float) -> None:
        try:
            must_be_ok(await bridge.submit_async([flow.next()]))
        except EngineBusy:
            busy[0] += 1
            return
        done[0] = time.perf_counter()
        if index >= warm:
            latency.record_value(max(1, int((done[0] - moment) * 1e6)))

    def act(index: int, moment: float) -> None:
        task = asyncio.get_running_loop().create_task(order(index, moment))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    spent = time.process_time()
    begin = await pace.run(act)
    while tasks:
        await asyncio.gather(*tasks)
    spent = time.process_time() - spent
    more = f"CPU {spent / pace.count * 1e6:.0f} us/order; {pace.late}"
    if busy[0]:
        more = f"BUSY {busy[0]}; {more}"
    told("bridge open loop", f"{rate:,}/s", pace.count - busy[0], done[0] - begin, latency, more)


async def raw_open_loop(target: str, flow: Flow, rate: int, seconds: float) -> None:
    """The same stream with nothing around it: what grpc and the engine take by themselves."""
    latency, pace = histogram(), Pace(rate, seconds)
    commands = [encoding.command(flow.next()) for _ in range(pace.count)]
    for number, command in enumerate(commands, start=1):
        command.session_seq = number
    moments: deque[float] = deque()
    sent = answered = frames = 0
    last = 0.0
    wake, warm = asyncio.Event(), pace.count // 10
    async with open_aio_channel(target) as channel:
        call = order_entry_pb2_grpc.OrderEntryStub(channel).Session()
        hello = order_entry_pb2.Hello(protocol_version=1, session_id=os.urandom(16), next_session_seq=1)
        await call.write(order_entry_pb2.ClientFrame(hello=hello))
        await call.read()

        def act(_index: int, moment: float) -> None:
            moments.append(moment)
            wake.set()

        async def send() -> None:
            nonlocal sent, frames
            while sent < pace.count:
                ready = min(answered + len(moments) - sent, BATCH_MAX)
                if not ready or frames >= FRAMES_IN_FLIGHT_MAX:
                    wake.clear()
                    await wake.wait()
                    continue
                batch = order_entry_pb2.CommandBatch(commands=commands[sent : sent + ready])
                sent, frames = sent + ready, frames + 1
                await call.write(order_entry_pb2.ClientFrame(batch=batch))

        async def receive() -> None:
            nonlocal answered, frames, last
            while answered < pace.count:
                frame = await call.read()
                if frame.WhichOneof("frame") != "results":
                    continue
                last = time.perf_counter()
                for result in frame.results.results:
                    assert result.code == 1, result
                    moment = moments.popleft()
                    answered += 1
                    if answered > warm:
                        latency.record_value(max(1, int((last - moment) * 1e6)))
                frames -= 1
                wake.set()

        work = [asyncio.create_task(part) for part in (send(), receive())]
        spent = time.process_time()
        begin = await pace.run(act)
        await asyncio.gather(*work)
        spent = time.process_time() - spent
        call.cancel()
    more = f"CPU {spent / pace.count * 1e6:.0f} us/order; {pace.late}"
    told("raw open loop", f"{rate:,}/s", pace.count, last - begin, latency, more)


def on_threads(count: int, seconds: float, act: Callable[[int], int]) -> tuple[int, float, HdrHistogram]:
    """Have each thread act again and again; commands, seconds and the latencies of the acts."""
    latencies, counts = [histogram() for _ in range(count)], [0] * count
    barrier = threading.Barrier(count + 1)

    def work(index: int) -> None:
        barrier.wait()
        begin = time.perf_counter()
        while (asked := time.perf_counter()) - begin < seconds:
            counts[index] += act(index)
            if asked - begin > seconds / 10:
                latencies[index].record_value(max(1, int((time.perf_counter() - asked) * 1e6)))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    for other in latencies[1:]:
        latencies[0].add(other)
    return sum(counts), time.perf_counter() - begin, latencies[0]


def closed_loop(bridge: Bridge, target: str, flows: Flows, seconds: float) -> None:
    mine = [flows.begin() for _ in range(THREADS)]

    def act(index: int) -> int:
        must_be_ok(bridge.submit([mine[index].next()]))
        return 1

    told(f"bridge {THREADS} threads", "closed", *on_threads(THREADS, seconds, act))
    with open_channel(target) as channel:
        submit, flow = order_entry_pb2_grpc.OrderEntryStub(channel).SubmitBatch, flows.begin()

        def raw(_index: int) -> int:
            batch = order_entry_pb2.CommandBatch(commands=[encoding.command(flow.next())])
            assert submit(batch).results[0].code == 1
            return 1

        told("raw unary, 1 thread", "closed", *on_threads(1, seconds / 2, raw))


def batched(bridge: Bridge, target: str, flows: Flows, seconds: float, threads: int) -> float:
    mine = [flows.begin() for _ in range(threads)]

    def act(index: int) -> int:
        must_be_ok(bridge.submit_batch([mine[index].next() for _ in range(BATCH_MAX)]))
        return BATCH_MAX

    spent = time.process_time()
    count, took, latency = on_threads(threads, seconds, act)
    more = f"CPU {(time.process_time() - spent) / count * 1e6:.1f} us/order"
    told(f"bridge batch x{threads}", f"{BATCH_MAX} each", count, took, latency, more)
    return count / took


def raw_batched(target: str, flows: Flows, seconds: float, threads: int) -> float:
    """Batches made beforehand, in pieces that do not expire meanwhile."""
    mine = [flows.begin() for _ in range(threads)]
    count, took, latency = 0, 0.0, histogram()
    with open_channel(target) as channel:
        submit = order_entry_pb2_grpc.OrderEntryStub(channel).SubmitBatch
        while took < seconds:
            made = [
                deque(
                    order_entry_pb2.CommandBatch(
                        commands=[encoding.command(flow.next()) for _ in range(BATCH_MAX)]
                    )
                    for _ in range(60)
                )
                for flow in mine
            ]

            def act(index: int, made: list[Any] = made) -> int:
                if not made[index]:
                    time.sleep(0.001)
                    return 0
                assert len(submit(made[index].popleft()).results) == BATCH_MAX
                return BATCH_MAX

            done, piece, marks = on_threads(threads, 0.25, act)
            count, took = count + done, took + piece
            latency.add(marks)
    told(f"raw batch x{threads}", f"{BATCH_MAX} each", count, took, latency, "less where it ran dry")
    return count / took


@contextmanager
def engine_running(binary: Path, folder: Path, *, fsync: bool) -> Iterator[str]:
    """The engine on sockets in the folder, one market open and one account with money; the orders target."""
    sockets = {name: folder / f"{name}.sock" for name in ("o", "t", "a")}
    command = [
        str(binary), "serve", "--dir", str(folder / "journal"), "--socket", str(sockets["o"]), "--init",
        "--transfers-socket", str(sockets["t"]), "--admin-socket", str(sockets["a"]),
    ] + ([] if fsync else ["--no-fsync"])  # fmt: skip
    (folder / "journal").mkdir()
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    admin = f"unix:{sockets['a']}"
    try:
        _prepare(admin, f"unix:{sockets['t']}")
        yield f"unix:{sockets['o']}"
        reading = administration.status(admin)
        print(f"engine: {reading.engine_seq:,} commands, fsync p50 {reading.fsync_p50_us} us, "
              f"p99 {reading.fsync_p99_us} us, version {reading.version}")  # fmt: skip
    finally:
        process.terminate()
        process.wait(20)


def _prepare(admin: str, target: str) -> None:
    for _ in range(200):
        try:
            administration.status(admin)
            break
        except EngineAway:
            time.sleep(0.05)
    for code, number in sorted(assets.NUMBERS.items()):
        administration.put_asset(admin, number=number, code=code, decimals=asset(code).decimals)
    listing = LISTINGS[0]
    base, quote = assets.number(listing.scale.base), assets.number(listing.scale.quote)
    administration.put_instrument(admin, listing, base=base, quote=quote)
    administration.set_state(admin, instrument=listing.number, state="open")
    money = MoveFunds(UUID(bytes=os.urandom(16), version=4), ACCOUNT, base, 10**15, into_venue=True)
    assert [str(code) for code in transfers.send(target, [money])] == ["OK"]


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    reader.add_argument("--engine", type=Path, default=ROOT / "engine/target/release/countersign-engine")
    reader.add_argument("--dir", help="where the journal lies; its disk decides the durable figures")
    reader.add_argument("--seconds", type=float, default=5.0)
    reader.add_argument("--rates", default="1000,5000,20000,50000")
    reader.add_argument("--no-fsync", action="store_true")
    asked = reader.parse_args()
    flows = Flows()
    print(f"{'':<20}{'offered':>10}{'achieved':>14}" + "".join(
        f"{name:>10}" for name in ("p50 us", "p90", "p99", "p99.9", "max")))  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=asked.dir) as folder,
        engine_running(asked.engine, Path(folder), fsync=not asked.no_fsync) as target,
        asyncio.Runner() as runner,
    ):
        bridge = Bridge(target)
        assert bridge.connected()
        for rate in [int(text) for text in asked.rates.split(",") if text]:
            runner.run(raw_open_loop(target, flows.begin(), rate, min(asked.seconds, 5.0)))
            runner.run(open_loop(bridge, flows.begin(), rate, asked.seconds))
        closed_loop(bridge, target, flows, asked.seconds)
        for threads in (1, 2, 4):
            raw = raw_batched(target, flows, asked.seconds / 2, threads)
            ours = batched(bridge, target, flows, asked.seconds, threads)
            print(f"  ratio of the rates: {ours:,.0f} / {raw:,.0f} = {ours / raw:.2f}")
        bridge.close()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    python = platform.python_version()
    print(f"machine: {os.cpu_count()} CPUs, {platform.machine()}, load {load}; Python {python}")
    print(f"taken {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC")


if __name__ == "__main__":
    main()
