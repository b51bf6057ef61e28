"""A chain of a test's own: the regtest stand-in's, or a real bitcoind's where `BITCOIND_EXE` names one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from devstack import bitcoind
from devstack.standins.regtest import launch
from tests import ports


def running(folder: Path) -> AbstractContextManager[str]:
    """The URL of a node whose state is below the folder; it ends with the block, and its state stays."""
    if bitcoind.executable() is None:
        return launch.running(folder)
    return bitcoind.running(folder, port=ports.free())
