"""How a run is told: HDR histograms of three digits, a line for each part, both numbers of every ratio."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hdrh.histogram import HdrHistogram

_SHARES: Final = (50, 90, 99, 99.9)


def histogram() -> HdrHistogram:
    """From a microsecond to a minute."""
    return HdrHistogram(1, 60_000_000, 3)


def counted(latencies_s: Iterable[float]) -> HdrHistogram:
    """A histogram made at the end: counting on the way would be part of what is measured."""
    found = histogram()
    for latency_s in latencies_s:
        found.record_value(max(1, int(latency_s * 1e6)))
    return found


@dataclass(frozen=True)
class Line:
    """One part of a run: so many commands in so many seconds, this process's CPU seconds, and latencies."""

    count: int
    seconds: float
    cpu_s: float
    latency: HdrHistogram

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU for a command."""
        return self.cpu_s / self.count * 1e6

    def us(self, share: float) -> int:
        """A percentile of the latencies, in microseconds."""
        found: int = self.latency.get_value_at_percentile(share)
        return found


def added(pieces: Sequence[Line]) -> Line:
    """A part that was run in pieces."""
    latency = histogram()
    for piece in pieces:
        latency.add(piece.latency)
    return Line(
        sum(piece.count for piece in pieces),
        sum(piece.seconds for piece in pieces),
        sum(piece.cpu_s for piece in pieces),
        latency,
    )


def head() -> None:
    """The names of the columns."""
    columns = "".join(f"{name:>10}" for name in ("p50 us", "p90", "p99", "p99.9", "max"))
    print(f"{'':<22}{'offered':>12}{'achieved':>14}{columns}  CPU us/order")


def told(name: str, offered: str, line: Line, more: str = "") -> Line:
    """One line of the table."""
    marks = [line.us(share) for share in _SHARES]
    columns = "".join(f"{mark:>10,}" for mark in [*marks, line.latency.get_max_value()])
    print(f"{name:<22}{offered:>12}{line.rate:>12,.0f}/s{columns}{line.cpu_us:>8.1f}  {more}", flush=True)
    return line


def compared(ours: Line, raw: Line) -> None:
    """Ours beside the raw client of the same run: both numbers, and their ratio."""
    pairs = [("rate", ours.rate, raw.rate), ("CPU us", ours.cpu_us, raw.cpu_us)]
    pairs += [(f"p{share} us", ours.us(share), raw.us(share)) for share in (50, 99)]
    told = [f"{name} {one:,.1f} / {other:,.1f} = {one / other:.2f}" for name, one, other in pairs]
    print(f"  bridge/raw: {'; '.join(told)}", flush=True)


def machine() -> None:
    """Whose figures these are, and when."""
    named = [row for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith("model name")]
    model = named[0].partition(": ")[2] if named else platform.machine()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"machine: {os.cpu_count()} CPUs, {model}; load {load}; Python {platform.python_version()}")
    print(f"taken {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC")
