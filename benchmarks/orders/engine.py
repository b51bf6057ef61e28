"""The engine that answers: a process of its own on unix sockets, with one market and one account."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from uuid import UUID

from benchmarks.orders.flow import ACCOUNT
from engine_bridge.adapters import administration, transfers
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.domain import assets
from engine_bridge.domain.commands import MoveFunds
from engine_bridge.domain.markets import LISTINGS
from kernel.money import asset


def line(engine: Path) -> Path:
    """The bridge's own library, as it was built with this engine."""
    return engine.with_name("libcountersign_bridge.so")


class Running:
    """One such process, and what it said when."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        self._lines: Queue[tuple[float, str]] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def said(self, word: str, patience_s: float) -> float:
        """The moment in which it said this."""
        while True:
            moment, line = self._lines.get(timeout=patience_s)
            if word in line:
                return moment

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put((time.perf_counter(), line.decode()))


class Seat:
    """The folder of a venue, its sockets, and the program that leads it."""

    def __init__(self, binary: Path, folder: Path, *, fsync: bool) -> None:
        self.library = line(binary)
        self._folder = folder
        self._command = [
            str(binary), "serve", "--dir", str(folder / "journal"), "--socket", str(self.path("o")),
            "--transfers-socket", str(self.path("t")), "--admin-socket", str(self.path("a")),
        ] + ([] if fsync else ["--no-fsync"]) + _unconfirmed(binary)  # fmt: skip
        (folder / "journal").mkdir()

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.sock"

    def target(self, name: str) -> str:
        return f"unix:{self.path(name)}"

    def start(self, *more: str) -> Running:
        """Another process with these options more than the usual ones."""
        return Running([*self._command, *more])

    def prepare(self) -> None:
        """List a market, and give the account what it sells."""
        _prepare(self.target("a"), self.target("t"))


def _unconfirmed(binary: Path) -> list[str]:
    """Nobody confirms it here. Former engines never wait, and do not know the option."""
    told = subprocess.run([str(binary), "--help"], capture_output=True, text=True, check=False)
    return [option for option in ["--trade-unconfirmed"] if option in told.stdout]


@contextmanager
def engine_running(binary: Path, folder: Path, *, fsync: bool) -> Iterator[str]:
    """The engine on sockets in the folder; the orders target."""
    seat = Seat(binary, folder, fsync=fsync)
    process = seat.start("--init").process
    try:
        seat.prepare()
        yield seat.target("o")
        reading = administration.status(seat.target("a"))
        print(f"engine: {reading.engine_seq:,} commands, fsync p50 {reading.fsync_p50_us} us, "
              f"p99 {reading.fsync_p99_us} us, version {reading.version}")  # fmt: skip
    finally:
        process.terminate()
        process.wait(20)


def _prepare(admin: str, target: str) -> None:
    for _ in range(200):
        try:
            administration.status(admin)
            break
        except EngineAway:
            time.sleep(0.05)
    for code, number in sorted(assets.NUMBERS.items()):
        administration.put_asset(admin, number=number, code=code, decimals=asset(code).decimals)
    listing = LISTINGS[0]
    base, quote = assets.number(listing.scale.base), assets.number(listing.scale.quote)
    administration.put_instrument(admin, listing, base=base, quote=quote)
    administration.set_state(admin, instrument=listing.number, state="open")
    money = MoveFunds(UUID(bytes=os.urandom(16), version=4), ACCOUNT, base, 10**15, into_venue=True)
    assert [str(code) for code in transfers.send(target, [money])] == ["OK"]
