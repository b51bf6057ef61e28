"""Signatures per second through a signer, against its raw token in the same run.

    python -m benchmarks.signer [--inputs 1 4 20 60] [--rounds 15] [--instructions | --split]

The raw token signs digests with nothing around it. The signer takes a whole transaction over its socket,
checks approvals, policy and outputs, writes its journal, anchors it on the token, signs every input and
verifies each signature before it leaves. The two take turns, each on a token of its own, and the best round
of each counts: CPU time as the kernel accounts it, and the clock. With --instructions both are run under
callgrind instead, and what one more round costs is counted: the same on every machine, busy or not. With
--split it is said where the CPU time of a request goes, by the part of the signer that spends it.
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
from tests.messages import coin, request, withdrawal
from tests.vault import SignerProcess, Vault

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

_SPLIT = """
import sys, time
from collections import Counter
from pathlib import Path
from custody.signer import approvals, checks, requests, tokens
from custody.signer.counters import Memory
from custody.signer.journal import Journal
from custody.signer.signing import Signer
from custody.signer.succession import read
from custody.signer.tokens import Token
from kernel import frames
from kernel.psbt import Psbt
folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
best, spent, inside = dict(), Counter(), []

def timed(owner, name, part):
    real = getattr(owner, name)

    def act(*given, **named):
        begun = time.thread_time_ns()
        inside.append(0)
        try:
            return real(*given, **named)
        finally:
            took, others = time.thread_time_ns() - begun, inside.pop()
            spent[part] += took - others
            if inside:
                inside[-1] += took

    setattr(owner, name, act)

for owner, name, part in (
    (Token, "_raw", "the token signs"), (tokens, "_checked", "each signature is checked"),
    (frames, "decode_body", "the message is decoded"), (requests, "spend", "PSBT and intents are read"),
    (approvals, "judge", "officers' assertions are checked"), (checks, "judge", "all else is checked"),
    (Memory, "check", "limits and replays"), (Memory, "add", "limits and replays"),
    (Journal, "append", "the journal"), (Token, "write", "its anchor on the token"),
    (Psbt, "digests", "digests"), (frames, "encode", "the answer is encoded"), (Signer, "answer", "the rest"),
):
    timed(owner, name, part)
token = Token(module={module!r}, name="hot-1", pin={pin!r})
signer = Signer(token=token, registry=read(folder / "registry.json"), state=folder / "split", clock=time.time)
for number in range(rounds):
    spent.clear()
    answer = signer.answer(frames.decode_body((folder / f"message-{{number}}").read_bytes()))
    assert answer["type"] == "signed", answer
    frames.encode(answer)
    for part, took in spent.items():
        best[part] = min(took, best.get(part, took))
for part, took in sorted(best.items(), key=lambda found: -found[1]):
    print(f"{{took / 1000:9.0f}} us  {{part}}")
print(f"{{sum(best.values()) / 1000:9.0f}} us  in all, the best of {{rounds}} rounds for each part")
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
    write_messages(vault, inputs=inputs, count=3)
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


def split(vault: Vault, *, inputs: int, rounds: int) -> str:
    """Where the CPU time of one request goes, a line for each part."""
    write_messages(vault, inputs=inputs, count=rounds)
    program = _SPLIT.format(module=vaults.MODULE, pin=vaults.PIN)
    done = subprocess.run(
        [str(vaults.TRUSTED_PYTHON), "-c", program, str(vault.folder), str(rounds)],
        env=vaults.environment(vault.folder / "hot-1"),
        cwd=vaults.ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def write_messages(vault: Vault, *, inputs: int, count: int) -> None:
    """Different requests over so many coins, a file each."""
    for number in range(count):
        coins = [coin(vault.registry, "hot", 1, 30_000_000) for _ in range(inputs)]
        message = request(vault.registry, [withdrawal()], coins=coins, fee=3_000)
        (vault.folder / f"message-{number}").write_bytes(frames.encode(message)[frames.HEADER_BYTES :])


def cpu_ns(pid: int) -> int:
    """Nanoseconds for which the process was on a CPU, its ended threads included: each peer has one."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # what clock_getcpuclockid(3) gives


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, nargs="+", default=[1, 4, 20, 60])
    parser.add_argument("--rounds", type=int, default=15)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--instructions", action="store_true", help="count them under callgrind; slow")
    how.add_argument("--split", action="store_true", help="say where the CPU time of a request goes")
    options = parser.parse_args()
    print(f"machine    {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for inputs in options.inputs:
        with tempfile.TemporaryDirectory() as folder:
            vault = Vault.build(Path(folder), hot=2, wallets=["hot"])
            if options.split:
                print(f"{inputs} inputs\n{split(vault, inputs=inputs, rounds=options.rounds)}")
                continue
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
