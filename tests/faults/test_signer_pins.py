"""The PIN of a signer …"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from custody.signer import locked
from custody.signer.refusals import Refused
from custody.signer.starting import PIN_WAIT_S, Attempts
from tests import messages
from tests import vault as vaults
from tests.messages import request, withdrawal
from tests.vault import Message, SignerProcess, Vault

RIGHT, WRONG = vaults.PIN, "wrong-quiz"


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.build(tmp_path_factory.mktemp("vault"), hot=2, wallets=["hot"])


@pytest.fixture
def attempts(vault: Vault) -> Iterator[Path]:
    file = vault.folder / "hot-1" / "state" / "pin-attempts"
    file.unlink(missing_ok=True)
    yield file
    file.unlink(missing_ok=True)


def unlock(signer: SignerProcess, pin: str = RIGHT) -> str:
    answer = signer.ask({"v": 1, "type": "unlock", "pin": pin})
    return str(answer.get("code", answer["type"]))


def test_is_waited_for_by_a_signer_that_starts_without_one(vault: Vault, attempts: Path) -> None:
    signer = vault.start("hot-1", pin="").ready("locked")
    message = request(vault.registry, [withdrawal()])
    assert signer.ask({"v": 1, "type": "health"})["state"] == "SIGNER_LOCKED"
    assert signer.ask(message)["code"] == "SIGNER_LOCKED"
    assert unlock(signer) == "unlocked"
    assert signer.ask(message)["type"] == "signed"
    signer.stop()
    assert RIGHT not in "".join(signer.lines)


def test_may_be_wrong_without_ending_the_signer_or_locking_the_token(vault: Vault, attempts: Path) -> None:
    signer = vault.start("hot-1", pin=WRONG).ready("locked")
    assert unlock(signer, WRONG) == "SIGNER_LOCKED"
    # Two were wrong: now it asks the token no more, not even with the right one, and not after a restart.
    assert unlock(signer) == "SIGNER_PIN_REFUSED"
    signer.stop()
    again = vault.start("hot-1").ready("locked")
    assert unlock(again) == "SIGNER_PIN_REFUSED"
    attempts.write_text(f"2 {int(messages.in_hours(-1).timestamp())}")
    assert unlock(again) == "unlocked"
    assert not attempts.exists()
    again.stop()
    assert WRONG not in "".join(signer.lines + again.lines)


def test_is_entered_by_an_operator_from_the_hosts_command_line(vault: Vault, attempts: Path) -> None:
    signer = vault.start("hot-1", pin="").ready("locked")

    def enter(typed: str) -> subprocess.CompletedProcess[str]:
        ask = ["--socket", str(signer.path), "unlock"]
        return vaults.run(vault.folder, "custody.signer.ask", *ask, typed=typed)

    assert enter("").returncode == 1
    assert "SIGNER_LOCKED" in enter(WRONG + "\n").stdout
    done = enter(RIGHT + "\n")
    assert (done.returncode, RIGHT in done.stdout + done.stderr) == (0, False)
    signer.stop()


def test_stands_in_no_argument_no_environment_and_no_journal(vault: Vault, attempts: Path) -> None:
    signer = vault.start("hot-1").ready()
    here = Path("/proc") / str(signer.process.pid)
    if os.getuid() == 0:
        assert RIGHT.encode() not in (here / "cmdline").read_bytes() + (here / "environ").read_bytes()
    for kind in ("unlock", "sign", "order"):
        signer.ask({"v": 1, "type": kind, "pin": RIGHT})
    signer.stop()
    state = vault.folder / "hot-1" / "state"
    assert all(RIGHT.encode() not in line for line in written(state / "journal.jsonl"))


def written(journal: Path) -> list[bytes]:
    """What the journal says in its own words: its numbers and hashes may hold any digits."""
    return [json.dumps(json.loads(line)["details"]).encode() for line in journal.read_bytes().splitlines()]


def test_is_counted_when_wrong_across_restarts_and_only_so_often(tmp_path: Path) -> None:
    now = 1_000_000.0
    for _ in range(2):
        Attempts(tmp_path).check(now)
        Attempts(tmp_path).wrong(now)
    with pytest.raises(Refused, match="wait 61 s"):
        Attempts(tmp_path).check(now)
    Attempts(tmp_path).check(now + PIN_WAIT_S)
    Attempts(tmp_path).wrong(now + PIN_WAIT_S)
    with pytest.raises(Refused, match="find the right one, then remove"):
        Attempts(tmp_path).check(now + 10**9)
    (tmp_path / "pin-attempts").unlink()
    Attempts(tmp_path).wrong(now)
    with Attempts(tmp_path).counted():
        pass  # the right one
    assert not (tmp_path / "pin-attempts").exists()
    (tmp_path / "pin-attempts").write_text("")
    with pytest.raises(Refused, match="SIGNER_PIN_REFUSED"):
        Attempts(tmp_path).check(now)


def test_is_taken_from_nobody_who_may_ask_for_signatures() -> None:
    class Options:
        token, allow_uid, attest_uid = "hot-1", [4242], [4343]

    how: dict[str, Any] = {"own_user": 77, "log": print, "aside": contextlib.nullcontext}
    door = locked.Door(Options(), **how)  # type: ignore[arg-type]
    entered: Message = {"v": 1, "type": "unlock", "pin": RIGHT}
    assert door.answer(entered, 4242)["code"] == "SIGNER_NOT_OPERATOR"
    for bad in ({"pin": ""}, {"pin": 7}, {"surprise": "x"}, {"v": True}):
        assert door.answer({**entered, **bad}, 77)["code"] == "SIGNER_BAD_REQUEST"


def test_is_the_same_door_for_whoever_may_only_attest() -> None:
    class Options:
        token, allow_uid, attest_uid = "hot-1", [4242], [4343]

    door = locked.Door(Options(), own_user=77, log=print, aside=contextlib.nullcontext)  # type: ignore[arg-type]
    assert door.users == {0, 77, 4242, 4343}
    said = {
        asked: door.answer({"v": 1, "type": asked}, 4343)["code"]
        for asked in ("attest", "sign", "sign_unattended", "learn", "order", "log_entries")
    }
    assert said.pop("attest") == "SIGNER_LOCKED"  # nobody has entered the PIN
    assert set(said.values()) == {"SIGNER_UNKNOWN_PEER"}
    # Only whoever may order is heard as one who could have brought a veto.
    door.signer = SimpleNamespace(answer=lambda message, user, may_order: {"by": user, "may": may_order})  # type: ignore[assignment]
    asked = [door.answer({"v": 1, "type": "health"}, user) for user in (4242, 4343, 77, 0)]
    assert [one["may"] for one in asked] == [True, False, False, False]
    assert [one["by"] for one in asked] == ["4242", "4343", "77", "0"]
