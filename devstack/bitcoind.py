"""A real bitcoind in regtest, in the stand-in's place, where `BITCOIND_EXE` names one."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from custody.adapters.bitcoin import BitcoinNode, NodeUnreachable

USER: Final = "countersign"
START_WITHIN_S: Final = 60.0
READY_LINE: Final = "init message: Done loading"

# A node without peers, which answers what the stand-in answers: any transaction of the chain, and its mempool
# over a restart.
_SETTINGS: Final = """\
regtest=1
server=1
listen=0
dnsseed=0
fixedseeds=0
discover=0
natpmp=0
txindex=1
persistmempool=1
[regtest]
rpcbind=127.0.0.1
rpcallowip=127.0.0.1
"""


class NodeDidNotStart(RuntimeError):
    """bitcoind ended, or did not answer in time; the text is what it printed last."""


def executable() -> str | None:
    """The bitcoind that the environment names; None where the stand-in serves."""
    return os.environ.get("BITCOIND_EXE") or None


def configured(folder: Path, *, port: int, password: str) -> Path:
    """Write the node's configuration, for its owner's eyes only: an argument would show the password to
    everybody on the machine.
    """
    written = folder / "bitcoin.conf"
    written.unlink(missing_ok=True)
    written.touch(mode=0o600)
    written.write_text(f"{_SETTINGS}rpcport={port}\nrpcuser={USER}\nrpcpassword={password}\n")
    return written


def command(exe: str, *, folder: Path, configuration: Path) -> list[str]:
    """How it is started, in the foreground and talking to its standard output."""
    return [exe, f"-datadir={folder}", f"-conf={configuration}", "-printtoconsole=1", "-nodebuglogfile"]


@contextmanager
def running(folder: Path, *, port: int) -> Iterator[str]:
    """The URL of a node on this port, whose state is below the folder; it stops at the end of the block, the
    state stays.
    """
    exe = executable()
    if exe is None:
        raise NodeDidNotStart("BITCOIND_EXE names no bitcoind")
    state = folder / "bitcoind"
    state.mkdir(parents=True, exist_ok=True)
    password = secrets.token_hex(16)
    configuration = configured(state, port=port, password=password)
    printed = folder / "bitcoind.log"
    with (
        printed.open("ab") as out,
        subprocess.Popen(
            command(exe, folder=state, configuration=configuration), stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        url = f"http://{USER}:{password}@127.0.0.1:{port}"
        try:
            _wait(url, process, printed)
            yield url
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes], printed: Path) -> None:
    until = time.monotonic() + START_WITHIN_S
    with BitcoinNode(url) as node:
        while True:
            try:
                node.chain()
                return
            except NodeUnreachable:
                if process.poll() is not None or time.monotonic() > until:
                    process.kill()
                    raise NodeDidNotStart(printed.read_text()[-2_000:]) from None
                time.sleep(0.05)
