"""The variants, and pgbench's writers at work on one of them."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from typing import Final

from benchmarks.auditing.database import ROLE, ROWS, server_cpu_s

PADDING: Final = "x" * 520
ACT: Final = "01939d5e-0000-7000-8000-000000000001"
EVENT: Final = (
    f"""'{{"act":"{ACT}","action":"bench.done","actor":{{"label":"bench"}},"at":"2026-01-01T00:00:00Z","""
    f""""reason":"{PADDING}","target":"row/' || :id || '"}}'"""
)
HEAD: Final = f"\\set id random(1, {ROWS})\nBEGIN;\n"


def script(rows: str, insert: str) -> str:
    """A pgbench script of one transaction."""
    return f"{HEAD}UPDATE {rows} SET n = n + 1 WHERE id = :id;\n{insert};\nCOMMIT;\n"


PLAIN: Final = f"INSERT INTO bench_plain (canon) VALUES ({EVENT})"
LOGGED: Final = f"INSERT INTO audit_event (canon, act) VALUES ({EVENT}, '{ACT}')"

VARIANTS: Final = {
    "plain": script("bench_free", PLAIN),
    "log": script("bench_free", LOGGED),
    "tripwire": script("bench_guarded", LOGGED),
    "sealed": script("bench_guarded", LOGGED),
}


def rate(
    variant: str, reach: list[str], *, writers: int, seconds: int, count: int = 0, fresh: bool = False
) -> tuple[float, int, float]:
    """Transactions per second, their number, and the CPU seconds of the server's sessions; where `count` is
    given, so many by each writer instead of what fits into `seconds`. With `fresh` each has a new session.
    """
    length = ["-t", str(count)] if count else ["-T", str(seconds)]
    before = server_cpu_s(reach)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(VARIANTS[variant])
        file.flush()
        *where, name = reach
        done = subprocess.run(
            [
                *("pgbench", *where, "-n", "-c", str(writers), "-j", "2"),
                *(("-C", "-M", "simple") if fresh else ("-M", "prepared")),
                *(*length, "-f", file.name, name),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PGOPTIONS": f"-c role={ROLE}"},
        )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    made = re.search(r"actually processed: ([0-9]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert made, done.stdout + done.stderr
    return float(found[1]), int(made[1]), server_cpu_s(reach) - before
