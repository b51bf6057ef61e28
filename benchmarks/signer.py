"""Signatures per second through a signer, against its raw token in the same run.

    python -m benchmarks.signer [--inputs 1 4 20 60] [--rounds 15] [--instructions]

The raw token signs digests with nothing around it. The signer takes a whole transaction over its socket,
checks approvals, policy and outputs, writes its journal, anchors it on the token, signs every input and
verifies each signature before it leaves. The two take turns, each on a token of its own, and the best round
of each counts: CPU time as the kernel accounts it, and the clock. With --instructions both are run under
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kernel import frames
from tests import vault as vaults
from tests.vault import SignerProcess, Vault, coin, request, withdrawal

_RAW = """
import sys
from custody.signer.tokens import Token
token = Token(module={module!r}, name="hot-2", pin={pin!r})
token._raw(1, b"x" * 32)
print("ready", flush=True)
for line in sys.stdin:
    for number in range(int(line)):
        token._raw(1, number.to_bytes(32, "big"))
    print("done", flush=True)
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


@dataclass
class Cost:
    """What one signature takes in the best round so far: microseconds of CPU, and of the clock."""

    cpu_us: float = float("inf")
    clock_us: float = float("inf")

    def round(self, pid: int, act: Callable[[], object], *, count: int) -> None:
        """One more round of `count` signatures, made by that process."""
        cpu, clock = cpu_ns(pid), time.perf_counter_ns()
        act()
        self.clock_us = min(self.clock_us, (time.perf_counter_ns() - clock) / count / 1000)
        self.cpu_us = min(self.cpu_us, (cpu_ns(pid) - cpu) / count / 1000)


@contextmanager
def raw_token(vault: Vault) -> Iterator[subprocess.Popen[str]]:
    """A process that makes as many signatures as each line of its input says."""
    program = _RAW.format(module=vaults.MODULE, pin=vaults.PIN)
    with subprocess.Popen(
        [str(vaults.TRUSTED_PYTHON), "-c", program],
        env=vaults.environment(vault.folder / "hot-2"),
        cwd=vaults.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


def compare(vault: Vault, *, inputs: int, rounds: int) -> tuple[Cost, Cost]:
    """The raw token, and through the signer, turn by turn."""
    registry, raw, whole = vault.registry, Cost(), Cost()
    signer = vault.start("hot-1").ready()
    try:
        with raw_token(vault) as process:

            def sign() -> None:
                assert process.stdin is not None
                assert process.stdout is not None
                print(inputs, file=process.stdin, flush=True)
                assert process.stdout.readline() == "done\n"

            for _ in range(rounds):
                coins = [coin(registry, "hot", 1, 30_000_000) for _ in range(inputs)]
                asked = request(registry, [withdrawal()], coins=coins, fee=3_000)
                raw.round(process.pid, sign, count=inputs)
                whole.round(signer.process.pid, partial(signed, signer, asked), count=inputs)
    finally:
        signer.stop()
    return raw, whole


def signed(signer: SignerProcess, asked: vaults.Message) -> None:
    """Ask, and insist on the signatures."""
    answer = signer.ask(asked)
    assert answer["type"] == "signed", answer


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


def cpu_ns(pid: int) -> int:
    """Nanoseconds for which the process's threads were on a CPU."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, nargs="+", default=[1, 4, 20, 60])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--instructions", action="store_true", help="count them under callgrind; slow")
    options = parser.parse_args()
    print(f"machine    {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for inputs in options.inputs:
        with tempfile.TemporaryDirectory() as folder:
            vault = Vault.build(Path(folder), hot=2, wallets=["hot"])
            if options.instructions:
                raw_count, count = instructions(vault, inputs=inputs)
                print(f"{inputs:3d} inputs  raw {raw_count:12,.0f} instructions for a signature, ", end="")
                print(f"signer {count:12,.0f}, ratio {raw_count / count:.2f}")
                continue
            raw, whole = compare(vault, inputs=inputs, rounds=options.rounds)
        by_cpu, by_clock = raw.cpu_us / whole.cpu_us, raw.clock_us / whole.clock_us
        print(f"{inputs:3d} inputs  raw {raw.cpu_us:5.0f} us of CPU for a signature, ", end="")
        print(f"signer {whole.cpu_us:5.0f}, ratio {by_cpu:.2f} by CPU, {by_clock:.2f} by the clock")


if __name__ == "__main__":
    main()
