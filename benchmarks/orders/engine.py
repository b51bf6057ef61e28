"""The engine that answers: a process of its own on unix sockets, with one market and one account."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from benchmarks.orders.flow import ACCOUNT
from engine_bridge.adapters import administration, transfers
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.domain import assets
from engine_bridge.domain.commands import MoveFunds
from engine_bridge.domain.markets import LISTINGS
from kernel.money import asset


@contextmanager
def engine_running(binary: Path, folder: Path, *, fsync: bool) -> Iterator[str]:
    """The engine on sockets in the folder; the orders target."""
    sockets = {name: folder / f"{name}.sock" for name in ("o", "t", "a")}
    command = [
        str(binary), "serve", "--dir", str(folder / "journal"), "--socket", str(sockets["o"]), "--init",
        "--transfers-socket", str(sockets["t"]), "--admin-socket", str(sockets["a"]),
    ] + ([] if fsync else ["--no-fsync"])  # fmt: skip
    (folder / "journal").mkdir()
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    admin = f"unix:{sockets['a']}"
    try:
        _prepare(admin, f"unix:{sockets['t']}")
        yield f"unix:{sockets['o']}"
        reading = administration.status(admin)
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
