"""Signatures per second through a signer, against its raw token in the same run.

    python -m benchmarks.signer [--inputs 60] [--rounds 5] [--instructions]

The raw token signs digests with nothing around it. The signer takes a whole transaction over its socket,
checks approvals, policy and outputs, writes its journal, anchors it on the token, signs every input and
verifies each signature before it leaves. Prints both, their ratio, the machine and the method. CPU time is
printed too, since on a busy machine the clock on the wall says little. With --instructions both are run under
callgrind instead, and what one more round costs is counted: the same on every machine, busy or not.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from kernel import frames
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


_COUNTED = """
import sys, time
from pathlib import Path
from custody.signer.signing import Signer
from custody.signer.succession import read
from custody.signer.tokens import Token
from kernel import frames
way, folder, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
token = Token(module={module!r}, name="hot-1", pin={pin!r})
if way == "raw":
    for number in range({inputs} * rounds):
        token._raw(1, number.to_bytes(32, "big"))
else:
    state = folder / f"counted-{{rounds}}"
    token.forget()
    signer = Signer(token=token, registry=read(folder / "registry.json"), state=state, clock=time.time)
    for number in range(rounds):
        answer = signer.answer(frames.decode_body((folder / f"message-{{number}}").read_bytes()))
        assert answer["type"] == "signed", answer
        frames.encode(answer)
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


def instructions(vault: Vault, *, inputs: int) -> tuple[float, float]:
    """Instructions for one signature: by the raw token, and through a signer."""
    for number in range(3):
        coins = [coin(vault.registry, "hot", 1, 30_000_000) for _ in range(inputs)]
        message = request(vault.registry, [withdrawal()], coins=coins, fee=3_000)
        (vault.folder / f"message-{number}").write_bytes(frames.encode(message)[frames.HEADER_BYTES :])
    program = _COUNTED.format(module=vaults.MODULE, pin=vaults.PIN, inputs=inputs)

    def counted(way: str, rounds: int) -> int:
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        done = subprocess.run(
            [*valgrind, str(vaults.TRUSTED_PYTHON), "-c", program, way, str(vault.folder), str(rounds)],
            env=vaults.environment(vault.folder / "hot-1"),
            cwd=vaults.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(re.findall(r"Collected : ([0-9]+)", done.stderr)[0])

    raw, whole = ((counted(way, 3) - counted(way, 1)) / (2 * inputs) for way in ("raw", "signer"))
    return raw, whole


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--instructions", action="store_true", help="count them under callgrind; slow")
    options = parser.parse_args()
    if options.instructions:
        with tempfile.TemporaryDirectory() as folder:
            vault = Vault.build(Path(folder), hot=2, wallets=["hot"])
            raw_count, whole = instructions(vault, inputs=options.inputs)
        print(f"raw token  {raw_count:12,.0f} instructions for a signature")
        print(f"signer     {whole:12,.0f}, {options.inputs} inputs at once")
        print(f"ratio      {raw_count / whole:12.2f}")
        return
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
