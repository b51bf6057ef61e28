"""A real bitcoind, where one is named, ...

That it does what the stand-in does is the contract suite's (test_bitcoin_node.py), for whoever has one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack import bitcoind
from tests import chains


def test_learns_its_password_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    for password in ("first", "second"):  # a stack that comes up again writes it again
        written = bitcoind.configured(tmp_path, port=18443, password=password)
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.read_text().splitlines()[-3:] == [
        "rpcport=18443",
        "rpcuser=countersign",
        "rpcpassword=second",
    ]
    assert "second" not in " ".join(bitcoind.command("bitcoind", folder=tmp_path, configuration=written))


def test_is_what_a_chain_runs_on_and_says_so_when_it_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bitcoind"
    program.write_text("#!/bin/sh\necho no space left\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("BITCOIND_EXE", str(program))
    with pytest.raises(bitcoind.NodeDidNotStart, match="no space left"), chains.running(tmp_path / "node"):
        pytest.fail("it stood in for the bitcoind that was named")
