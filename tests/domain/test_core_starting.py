"""A trusted program that starts …"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.trusted import starting
from tests.vault import ROOT, TRUSTED_PYTHON

HARDENED = """
import ctypes, importlib, os, resource, sys
for name in ("core.trusted.starting", "custody.signer.starting"):
    module = importlib.import_module(name)
    if not (child := os.fork()):
        module.harden()
        dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)  # PR_GET_DUMPABLE
        print(resource.getrlimit(resource.RLIMIT_CORE), dumpable, oct(os.umask(0)), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_leaves_no_core_dump_is_read_by_no_debugger_and_makes_files_for_itself_alone() -> None:
    done = subprocess.run([str(TRUSTED_PYTHON), "-c", HARDENED], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == ["(0, 0) 0 0o77"] * 2


def test_takes_its_secret_from_the_first_line_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" a secret \nmore"))
    assert starting.read_secret("PIN") == " a secret "
    for nothing in ("", "\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(nothing))
        with pytest.raises(starting.NoSecret):
            starting.read_secret("PIN")


@pytest.mark.parametrize("ends", [None, "fsync file", "replace", "fsync folder"])
def test_replaces_a_file_whole_or_not_at_all_and_so_that_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str | None
) -> None:
    path, done = tmp_path / "seen", list[str]()
    path.write_bytes(b"old")
    (tmp_path / "seen.new").write_bytes(b"what an attempt left that ended")
    (tmp_path / "seen.new").chmod(0o666)
    fsync, replace = os.fsync, Path.replace

    def step(name: str) -> None:
        if name == ends:
            raise KeyboardInterrupt
        done.append(name)

    def synced(descriptor: int) -> None:
        where = Path(f"/proc/self/fd/{descriptor}").readlink()
        step("fsync folder" if where == tmp_path else "fsync file")
        assert where == tmp_path or where.read_bytes() == b"new"
        fsync(descriptor)

    def replaced(self: Path, target: Any) -> Path:
        step("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    if ends is None:
        starting.replace(path, b"new", mode=0o640)
        assert done == ["fsync file", "replace", "fsync folder"]
        assert path.stat().st_mode & 0o777 == 0o640
    else:
        with pytest.raises(KeyboardInterrupt):
            starting.replace(path, b"new")
    assert path.read_bytes() == (b"old" if ends in ("fsync file", "replace") else b"new")
    if ends is None:
        starting.replace(path, b"new")
        assert path.stat().st_mode & 0o777 == 0o600
