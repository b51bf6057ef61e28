"""What the disk alone does at the pace of an open loop: a block written and flushed at each moment."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from benchmarks.orders.table import Line, counted, told

ORDER_BYTES: Final = 70
"""Of the journal, for an order of the flow, about."""
_FILE_BYTES: Final = 64 << 20


def alone(folder: Path, rate: int, each: int, seconds: float) -> Line:
    """A block for each call over a file of zeros, like the journal's; latency from the call's moment."""
    path, block = folder / "disk", b"\1" * (each * ORDER_BYTES)
    calls, step = int(rate * seconds) // each, each / rate
    path.write_bytes(bytes(_FILE_BYTES))
    file, latencies, spent = os.open(path, os.O_WRONLY), [], time.process_time()
    try:
        os.fsync(file)
        begin = time.perf_counter() + 0.1
        for number in range(calls):
            moment = begin + number * step
            if (early := moment - time.perf_counter()) > 0:
                time.sleep(early)
            os.pwrite(file, block, number * len(block) % (_FILE_BYTES - len(block)))
            os.fdatasync(file)
            if number >= calls // 10:  # as with the calls
                latencies.append(time.perf_counter() - moment)
        took = time.perf_counter() - begin
    finally:
        os.close(file)
        path.unlink()
    line = Line(calls * each, took, time.process_time() - spent, counted(latencies))
    return told(f"disk alone, {each} a call", f"{rate:,}/s", line)
