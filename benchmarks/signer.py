"""Signatures per second through a signer, against its raw token in the same run.

    python -m benchmarks.signer [--inputs 4 20 60] [--callers 1 2 4 8] [--sessions 1 4] [--rounds 6]
                                [--token-ms 3 [--token-places 1]] [--split]

The raw token signs digests with nothing around it, as a loop over the signer's own library, in as many
threads as it is given sessions. The signer takes whole transactions over its socket, checks approvals, policy
and outputs, writes its journal, anchors it on the token, signs every input and verifies each signature before
it leaves. So many callers ask it at once, each for one transaction after another over a connection of its
own, as workers do; the requests are made before the time is taken. The raw token and the signer take turns,
each on a token of its own, and the best round of each counts: by the clock, and CPU time of the process as
the kernel accounts it.

With --token-ms both sign through a stand-in for hardware (devstack/standins/token.c): SoftHSM that takes so
much longer for each signature and for each anchor, without using the CPU, and does --token-places of them at
a time. With --split it is said where the CPU time of a served request goes, by the part of the signer that
spends it.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from devstack.standins import token
from kernel import frames
from tests import vault as vaults
from tests.messages import coin, request, withdrawal
from tests.vault import SignerProcess, Vault

SIGNATURES: Final = 480  # in a round

_RAW = """
import sys
from concurrent.futures import ThreadPoolExecutor
from custody.signer.tokens import Token
token = Token(module={module!r}, name="hot-2", pin={pin!r})
pool = ThreadPoolExecutor(16)
token._raw([(1, b"x" * 32)])
print("ready", flush=True)
for line in sys.stdin:
    sessions, count = map(int, line.split())
    digests = [(1, number.to_bytes(32, "big")) for number in range(count // sessions)]
    list(pool.map(token._raw, [digests] * sessions))
    print("done", flush=True)
"""

_SPLIT = """
import signal, threading, time
from collections import Counter
from custody.signer import __main__, approvals, checks, requests, server, tokens
from custody.signer.counters import Memory
from custody.signer.journal import Journal
from custody.signer.signing import Signer
from custody.signer.tokens import Token
from kernel import frames
from kernel.psbt import Psbt
spent, calls, here, begun = Counter(), Counter(), threading.local(), [0]

def timed(owner, name, part):
    real = getattr(owner, name)

    def act(*given, **named):
        inside = here.__dict__.setdefault("inside", [])
        since = time.thread_time_ns()
        inside.append(0)
        try:
            return real(*given, **named)
        finally:
            took, others = time.thread_time_ns() - since, inside.pop()
            spent[part] += took - others
            calls[part] += 1
            if inside:
                inside[-1] += took

    setattr(owner, name, act)

for owner, name, part in (
    (Token, "_raw", "the token signs"), (tokens, "_checked", "each signature is checked"),
    (frames, "decode_body", "the message is decoded"), (requests, "spend", "PSBT and intents are read"),
    (approvals, "judge", "officers' assertions are checked"), (checks, "judge", "all else is checked"),
    (Memory, "check", "limits and replays"), (Memory, "add", "limits and replays"),
    (Journal, "append", "the journal"), (Journal, "settle", "the journal"),
    (Token, "write", "its anchor on the token"),
    (Psbt, "digests", "digests"), (frames, "encode", "the answer is encoded"), (Signer, "answer", "the rest"),
    (server, "_read", "receiving"),
):
    timed(owner, name, part)

def begin(*_):
    spent.clear()
    calls.clear()
    begun[0] = time.process_time_ns()

signal.signal(signal.SIGUSR1, begin)
try:
    __main__.main()
finally:
    count, whole = calls["the token signs"], time.process_time_ns() - begun[0]
    spent["turns, connections, sending, hand-overs"] = whole - sum(spent.values())
    for part, took in spent.most_common():
        print(f"{took / count / 1000:9.0f} us  {part}")
    print(f"{whole / count / 1000:9.0f} us  in all, the mean of {count} requests", flush=True)
"""


@dataclass
class Cost:
    """What one signature takes in the best round so far: microseconds of the clock, and of CPU."""

    clock_us: float = float("inf")
    cpu_us: float = float("inf")

    def round(self, pid: int, act: Callable[[], object], *, count: int) -> None:
        """One more round of `count` signatures, made by that process."""
        cpu, clock = cpu_ns(pid), time.perf_counter_ns()
        act()
        self.clock_us = min(self.clock_us, (time.perf_counter_ns() - clock) / count / 1000)
        self.cpu_us = min(self.cpu_us, (cpu_ns(pid) - cpu) / count / 1000)

    @property
    def text(self) -> str:
        """For the table."""
        return f"{1e6 / self.clock_us:6.0f}/s {self.cpu_us:5.0f} us of CPU"


@contextmanager
def raw_token(vault: Vault, module: str) -> Iterator[tuple[int, Callable[[int], None]]]:
    """A process that makes a round of signatures in so many sessions: its id, and how to tell it."""
    with subprocess.Popen(
        [str(vaults.TRUSTED_PYTHON), "-c", _RAW.format(module=module, pin=vaults.PIN)],
        env=vaults.environment(vault.folder / "hot-2"),
        cwd=vaults.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        source, said = process.stdin, process.stdout
        assert source is not None
        assert said is not None
        assert said.readline() == "ready\n"

        def sign(sessions: int) -> None:
            print(sessions, SIGNATURES, file=source, flush=True)
            assert said.readline() == "done\n"

        yield process.pid, sign
        source.close()


def compare(vault: Vault, module: str, options: argparse.Namespace, *, inputs: int) -> Iterator[str]:
    """A line for the raw token in each number of sessions, and for the signer with each number of callers."""
    raws = {sessions: Cost() for sessions in options.sessions}
    wholes = {callers: Cost() for callers in options.callers}
    signer = vault.start("hot-1", "--module", module, *options.told).ready()
    assert signer.process.stdout is not None
    threading.Thread(target=deque, args=(signer.process.stdout, 0)).start()  # its log must not fill the pipe
    try:
        with raw_token(vault, module) as (pid, sign):
            for _ in range(options.rounds):
                for sessions, raw in raws.items():
                    raw.round(pid, partial(sign, sessions), count=SIGNATURES)
                for callers, whole in wholes.items():
                    asked = messages(vault, inputs=inputs, count=SIGNATURES // inputs)
                    asking = partial(ask_all, signer, asked, callers=callers)
                    whole.round(signer.process.pid, asking, count=SIGNATURES)
    finally:
        signer.process.terminate()
        assert signer.process.wait(60) == 0
    for sessions, raw in raws.items():
        yield f"{inputs:3d} inputs  raw, {sessions} sessions   {raw.text}"
    for callers, whole in wholes.items():
        by = ", ".join(f"{raw.clock_us / whole.clock_us:.2f} of {one}" for one, raw in raws.items())
        cpu = raws[min(raws)].cpu_us / whole.cpu_us
        yield f"{inputs:3d} inputs  signer, {callers} callers {whole.text}; {by}; {cpu:.2f} by CPU"


def ask_all(signer: SignerProcess, asked: Sequence[bytes], *, callers: int) -> None:
    """All of them, by so many callers at once; insist on the signatures."""

    def ask(frame: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(signer.path))
            connection.sendall(frame)
            header = connection.recv(frames.HEADER_BYTES, socket.MSG_WAITALL)
            body = connection.recv(frames.body_length(header), socket.MSG_WAITALL)
        assert b'"type":"signed"' in body, body

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(ask, asked))


def messages(vault: Vault, *, inputs: int, count: int) -> list[bytes]:
    """Frames of different requests over so many coins."""
    made = []
    for _ in range(count):
        coins = [coin(vault.registry, "hot", 1, 30_000_000) for _ in range(inputs)]
        made.append(frames.encode(request(vault.registry, [withdrawal()], coins=coins, fee=3_000)))
    return made


def split(vault: Vault, *, inputs: int, callers: int, count: int) -> Iterator[str]:
    """Where the CPU time of a served request goes, a line for each part; the clocks' own is in it."""
    signer = vault.start("hot-1", program=("-c", _SPLIT)).ready()
    try:
        ask_all(signer, messages(vault, inputs=inputs, count=count // 4), callers=callers)
        asked = messages(vault, inputs=inputs, count=count)
        signer.process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        ask_all(signer, asked, callers=callers)
    finally:
        signer.stop()
    yield f"{inputs} inputs, {callers} callers"
    yield from (line for line in signer.lines if " us  " in line)


def slow_module(folder: Path, *, token_ms: float, places: int) -> str:
    """The stand-in's path; SoftHSM itself where it takes no time."""
    if not token_ms:
        return vaults.MODULE
    return token.build(folder, real=vaults.MODULE, takes_us=round(token_ms * 1000), at_once=places)


def cpu_ns(pid: int) -> int:
    """Nanoseconds for which the process was on a CPU, its ended threads included: each peer has one."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # what clock_getcpuclockid(3) gives


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, usual in (("--inputs", [4, 20, 60]), ("--callers", [1, 2, 4, 8]), ("--sessions", [1, 4])):
        parser.add_argument(name, type=int, nargs="+", default=usual)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--token-ms", type=float, default=0)
    parser.add_argument("--token-places", type=int, default=1)
    parser.add_argument("--split", action="store_true", help="say where the CPU time of a request goes")
    options = parser.parse_args()
    print(f"machine    {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if options.token_ms:
        print(f"token      {options.token_ms} ms more for a signature, {options.token_places} at a time")
    for inputs in options.inputs:
        with tempfile.TemporaryDirectory() as folder:
            vault = Vault.build(Path(folder), hot=2, wallets=["hot"])
            if options.split:
                for callers in options.callers:
                    print("\n".join(split(vault, inputs=inputs, callers=callers, count=SIGNATURES // inputs)))
                continue
            options.told = ("--token-places", str(options.token_places)) if options.token_ms else ()
            module = slow_module(Path(folder), token_ms=options.token_ms, places=options.token_places)
            for line in compare(vault, module, options, inputs=inputs):
                print(line, flush=True)


if __name__ == "__main__":
    main()
