"""Threads that each do one thing again and again."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.orders.table import Line, counted


def crowd(count: int, seconds: float, act: Callable[[int], int]) -> Line:
    """Have each thread act until the time is over, or until it is told that there is nothing left.

    An act says how many commands it was. The latencies are the acts'.
    """
    latencies: list[list[float]] = [[] for _ in range(count)]
    counts = [0] * count
    barrier = threading.Barrier(count + 1)

    def work(index: int) -> None:
        barrier.wait()
        begin = time.perf_counter()
        while (asked := time.perf_counter()) - begin < seconds and (done := act(index)):
            counts[index] += done
            latencies[index].append(time.perf_counter() - asked)

    with ThreadPoolExecutor(count) as threads:
        ended = [threads.submit(work, index) for index in range(count)]
        barrier.wait()
        begin, spent = time.perf_counter(), time.process_time()
        for one in ended:
            one.result()
        took, spent = time.perf_counter() - begin, time.process_time() - spent
    return Line(sum(counts), took, spent, counted(itertools.chain.from_iterable(latencies)))
