"""A token when its signer starts …"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from custody.signer import starting
from tests import vault as vaults
from tests.vault import Vault


def test_is_missed_at_the_start_where_the_registry_names_other_keys(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=1, wallets=["hot"])
    (tmp_path / "hot-1" / "tokens").rename(tmp_path / "hot-1" / "gone")
    vaults.make_token(tmp_path / "hot-1b", "hot-1", count=1)
    (tmp_path / "hot-1b" / "tokens").rename(tmp_path / "hot-1" / "tokens")
    signer = vault.start("hot-1")
    assert signer.process.wait(120) == 1
    assert signer.process.stdout is not None
    with signer.process.stdout as output:
        assert "cannot start: SIGNER_KEY_MISSING" in output.read()


def test_is_not_even_opened_for_a_registry_that_is_none(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=1, wallets=["hot"])
    vault.registry_file.write_bytes(vault.registry_file.read_bytes().replace(b'"m":2', b'"m":1'))
    signer = vault.start("hot-1")
    assert signer.process.wait(120) == 1
    assert signer.process.stdout is not None
    with signer.process.stdout as output:
        assert "cannot start: SIGNER_BAD_REGISTRY" in output.read()


@pytest.mark.parametrize("places", ["0", "-1", "four", "1.5"])
def test_makes_at_least_one_signature_at_a_time(places: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    starting.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--token-places={places}"])
    assert f"a token makes at least one signature at a time, not '{places}'" in capsys.readouterr().err


def test_forgets_its_journal_on_the_word_of_whoever_holds_its_pin(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=1, wallets=["hot"])
    vault.start("hot-1").ready().stop()
    state = tmp_path / "hot-1" / "state" / "journal.jsonl"
    state.unlink()
    signer = vault.start("hot-1").ready()
    assert signer.ask({"v": 1, "type": "health"})["state"] == "SIGNER_STORE_LOST"
    signer.stop()
    state.unlink()
    forget = ["--token", "hot-1", "--forget", "--module", vaults.MODULE]
    assert vaults.run(tmp_path / "hot-1", "custody.signer.provision", *forget).returncode == 0
    signer = vault.start("hot-1").ready()
    assert signer.ask({"v": 1, "type": "health"})["state"] == "ready"
    signer.stop()
