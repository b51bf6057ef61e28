"""A chain of a test's own: the regtest stand-in's, or a real bitcoind's where `BITCOIND_EXE` names one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from devstack import bitcoind
from devstack.standins.regtest import launch
from tests import ports

Files: TypeAlias = Mapping[Path, bytes]
"""A chain that was mined before, as its node left it."""


def running(folder: Path, before: Files | None = None) -> AbstractContextManager[str]:
    """The URL of a node whose state is below the folder; it ends with the block, and its state stays."""
    for path, content in (before or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    if bitcoind.executable() is None:
        return launch.running(folder)
    return bitcoind.running(folder, port=ports.free())


def files(folder: Path) -> Files:
    """What a node that has ended left there, but for what the stand-in's judge is given anew."""
    judges = set(folder.glob("chain/judge*"))
    found = (path for path in folder.rglob("*") if path.is_file() and judges.isdisjoint(path.parents))
    return {path.relative_to(folder): path.read_bytes() for path in found}
