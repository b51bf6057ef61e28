"""What a signer's memory costs: disk, the time of a start, and RAM, by how many payments it has signed.

    python -m benchmarks.memory [--payments 10000 100000] [--per-day 10000]

Each payment is a transaction of its own, its two lines as a signer writes them; its token is soft, and clocks
go on as if so many were paid a day. Each number of payments is written twice, for a signer that never begins
a new file (the baseline) and for one that does, and each is then started in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

from custody.signer import journal
from kernel import members
from kernel.entry import SPEND
from tests.softtoken import Desk

_DAY_S: Final = 86_400
_ASK_EVERY: Final = 500  # payments, between two questions how it is
_NEVER: Final = 10**12

_START = """
import sys, time, gc
from pathlib import Path
from custody.signer import journal
from tests.softtoken import Desk, SoftToken
journal.FILE_LINES = 10**12
token = SoftToken()
token.anchor = bytes.fromhex(sys.argv[2])
import resource
rss = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
bare, begun = rss(), time.perf_counter()
desk = Desk(Path(sys.argv[1]), token=token, now=float(sys.argv[3]))
spent = time.perf_counter() - begun
gc.collect()
assert desk.health["state"] == "ready", desk.health["why"]
print(spent, rss() - bare)
"""


def pay(desk: Desk, count: int, *, per_day: int) -> float:
    """So many payments; the longest time in which beginning a new file let nobody have a turn."""
    aside_s = [0.0]

    @contextlib.contextmanager
    def aside() -> Iterator[None]:
        begun = time.perf_counter()
        yield
        aside_s[0] = time.perf_counter() - begun

    desk.signer.aside = aside
    assert desk.spend() == "signed"
    details = next(one.details for one in reversed(desk.journal.weighty) if one.event == SPEND)
    [(_, payment)] = members.an_object(details["intents"]).items()
    longest = 0.0
    for number in range(count):
        desk.now += _DAY_S / per_day
        txid = uuid4().hex * 2
        coins, intents = [f"{uuid4().hex * 2}:1"], {f"custody.withdrawal/{uuid4()}": payment}
        names = {"intents": intents, "slot": f"bcrt1q/1/{number}"}
        desk.signer.remember(SPEND, {**details, "txid": txid, "coins": coins, **names})
        desk.signer.remember("signed", {"txid": txid, "wallet": "hot", "again": False})
        if number % _ASK_EVERY == 0:
            desk.journal.settle()
            aside_s[0], begun = 0.0, time.perf_counter()
            assert desk.health
            longest = max(longest, time.perf_counter() - begun - aside_s[0])
    desk.journal.settle()
    return longest


def measured(count: int, *, per_day: int, file_lines: int) -> str:
    """One row: what is on the disk, what a start reads of it, how long it takes, and what it holds then."""
    journal.FILE_LINES = file_lines
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder) / "state")
        longest = pay(desk, count, per_day=per_day)
        anchor = (desk.token.anchor or b"").hex()
        desk.journal.close()
        whole = sum(path.stat().st_size for path in desk.state.iterdir())
        read = [desk.file, *desk.state.glob("checkpoint-*.jsonl")]
        arguments = [sys.executable, "-c", _START, str(desk.state), anchor, str(desk.now)]
        made = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split()
        start_s, ram = float(made[0]), int(made[1])
        mib = [size / 2**20 for size in (whole, sum(path.stat().st_size for path in read), ram)]
        return json.dumps(
            {
                "payments": count,
                "forgets": file_lines != _NEVER,
                "disk_mib": round(mib[0], 1),
                "read_at_start_mib": round(mib[1], 1),
                "start_s": round(start_s, 2),
                "ram_mib": round(mib[2], 1),
                "longest_pause_s": round(longest, 3),
            }
        )


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="What a signer's memory costs.")
    parser.add_argument("--payments", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--per-day", type=int, default=10_000)
    options = parser.parse_args()
    lines = journal.FILE_LINES
    for count in options.payments:
        for file_lines in (_NEVER, lines):
            print(measured(count, per_day=options.per_day, file_lines=file_lines), flush=True)


if __name__ == "__main__":
    main()
