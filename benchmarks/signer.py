"""Signatures per second through a signer, against its raw token in the same run.

    python -m benchmarks.signer [--inputs 60] [--rounds 5]

The raw token signs digests with nothing around it. The signer takes a whole transaction over its socket,
checks approvals, policy and outputs, writes its journal, anchors it on the token, signs every input and
verifies each signature before it leaves. Prints both, their ratio, the machine and the method. CPU time is
printed too, since on a busy machine the clock on the wall says little.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests import vault as vaults
from tests.vault import Vault, coin, request, withdrawal

_RAW = """
import sys, time
from custody.signer.tokens import Token
token = Token(module={module!r}, name="hot-1", pin={pin!r})
token._raw(1, b"x" * 32)
start, cpu = time.perf_counter(), time.process_time()
for number in range({count}):
    token._raw(1, number.to_bytes(32, "big"))
print({count} / (time.perf_counter() - start), (time.process_time() - cpu) / {count} * 1000)
"""


@dataclass(frozen=True)
class Rate:
    """Signatures per second by the clock, and milliseconds of CPU for each."""

    per_second: float
    cpu_ms: float


def raw_rate(vault: Vault, count: int) -> Rate:
    """The token alone."""
    program = _RAW.format(module=vaults.MODULE, pin=vaults.PIN, count=count)
    done = subprocess.run(
        [str(vaults.TRUSTED_PYTHON), "-c", program],
        env=vaults.environment(vault.folder / "hot-1"),
        cwd=vaults.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rate, cpu = done.stdout.split()
    return Rate(float(rate), float(cpu))


def signer_rate(vault: Vault, *, inputs: int, rounds: int) -> tuple[Rate, float]:
    """Through the signer; and milliseconds for a transaction with one input."""
    registry = vault.registry

    def message(count: int) -> vaults.Message:
        coins = [coin(registry, "hot", 1, 30_000_000) for _ in range(count)]
        return request(registry, [withdrawal()], coins=coins, fee=3_000)

    signer = vault.start("hot-1").ready()
    try:
        small = [message(1) for _ in range(rounds * 4)]
        large = [message(inputs) for _ in range(rounds)]
        start, cpu = time.perf_counter(), cpu_s(signer.process.pid)
        for one in large:
            assert signer.ask(one)["type"] == "signed"
        count = inputs * rounds
        rate = Rate(count / (time.perf_counter() - start), (cpu_s(signer.process.pid) - cpu) / count * 1000)
        start = time.perf_counter()
        for one in small:
            assert signer.ask(one)["type"] == "signed"
        return rate, (time.perf_counter() - start) / len(small) * 1000
    finally:
        signer.stop()


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        vault = Vault.build(Path(folder), hot=2, wallets=["hot"])
        raw = raw_rate(vault, options.inputs * options.rounds)
        rate, single = signer_rate(vault, inputs=options.inputs, rounds=options.rounds)
    print(f"machine    {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"raw token  {raw.per_second:8.0f} signatures/s, {raw.cpu_ms:.2f} ms of CPU each")
    many = f"{options.inputs} inputs at once"
    print(f"signer     {rate.per_second:8.0f} signatures/s, {rate.cpu_ms:.2f} ms of CPU each, {many}")
    by_clock, by_cpu = rate.per_second / raw.per_second, raw.cpu_ms / rate.cpu_ms
    print(f"ratio      {by_clock:8.2f} by the clock, {by_cpu:.2f} by CPU")
    print(f"one input  {single:8.1f} ms per transaction")


if __name__ == "__main__":
    main()
