"""The signer's memory …"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custody.signer.disk import MemoryInUse
from custody.signer.journal import Journal
from custody.signer.refusals import Refused
from kernel import canonical
from kernel.approval import Verb
from tests import messages
from tests.messages import coin, request, withdrawal
from tests.softtoken import Desk, SoftToken
from tests.vault import BEN


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def test_survives_a_restart(desk: Desk) -> None:
    intent = withdrawal(expires=desk.in_hours(1))
    mine = coin(desk.registry, "hot", 1, 90_000_000)
    assert desk.spend(intent=intent, coins=[mine]) == "signed"
    used = desk.health["used"]
    desk.restart()
    assert desk.health["used"] == used
    assert desk.spend(intent=intent, coins=[mine]) == "signed"
    assert desk.spend(intent=intent) == "SIGNER_REPLAY"


def test_is_held_by_one_process_at_a_time(desk: Desk) -> None:
    with pytest.raises(MemoryInUse):
        Journal(desk.state, SoftToken())


# Disks.


def test_signs_nothing_that_it_could_not_write_down(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.spend() == "signed"
    before, signed = desk.file.read_bytes(), desk.token.signed
    real = os.write
    monkeypatch.setattr("custody.signer.disk.os.write", lambda descriptor, data: real(descriptor, data[:40]))
    with pytest.raises(OSError, match="not written whole"):
        desk.spend()
    monkeypatch.undo()
    assert desk.token.signed == signed
    assert desk.file.read_bytes() == before
    assert desk.spend() == "signed"
    assert desk.restart().health["state"] == "ready"


@pytest.mark.parametrize("place", ["custody.signer.counters.Memory.add", "tests.softtoken.SoftToken.sign"])
def test_is_what_the_journal_says_after_any_accident(
    desk: Desk, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent, mine = withdrawal(expires=desk.in_hours(1)), coin(desk.registry, "hot", 1, 90_000_000)

    def bug(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()  # it happens once
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(place, bug)
    with pytest.raises(RuntimeError):
        desk.spend(intent=intent, coins=[mine])
    assert desk.health["used"] == {"hot": "25002000"}
    assert desk.spend(intent=intent) == "SIGNER_REPLAY"
    assert desk.spend(intent=intent, coins=[mine]) == "signed"


# Clocks.


def test_refuses_while_the_clock_is_behind_what_it_wrote(desk: Desk) -> None:
    assert desk.spend() == "signed"
    desk.now -= 3600
    assert desk.spend(intent=withdrawal(expires=desk.in_hours(1))) == "SIGNER_CLOCK_BACK"
    assert desk.restart().health["state"] == "SIGNER_CLOCK_BACK"
    desk.now += 3601
    assert desk.spend() == "signed"


def test_bears_the_small_steps_of_a_steered_clock(desk: Desk) -> None:
    assert desk.spend() == "signed"
    desk.now -= 1.5
    assert desk.spend() == "signed"


# Damage and restoration.


def edit_line(number: int, **members: Any) -> Callable[[Path], None]:
    def edit(file: Path) -> None:
        lines = file.read_bytes().splitlines()
        document = json.loads(lines[number])
        document["details"].update(members)
        lines[number] = canonical.encode(document)
        file.write_bytes(b"\n".join(lines) + b"\n")

    return edit


def append(event: str, mac: str = "", **details: Any) -> Callable[[Path], None]:
    """A line of one's own that continues the chain; the file may be a few such lines ahead of the token."""

    def forge(file: Path) -> None:
        last = file.read_bytes().splitlines()[-1]
        document = json.loads(last)
        members = {"at": document["at"], "details": details, "event": event, "n": document["n"] + 1}
        members |= {"prev": hashlib.sha256(last).hexdigest(), "mac": mac}
        file.write_bytes(file.read_bytes() + canonical.encode(members) + b"\n")

    return forge


def keep(first: int, end: int | None) -> Callable[[Path], None]:
    def cut(file: Path) -> None:
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[first:end]))

    return cut


@pytest.mark.parametrize(
    ("expected", "damage"),
    [
        ("SIGNER_STORE_LOST", lambda file: file.unlink()),
        ("SIGNER_STORE_LOST", lambda file: file.write_bytes(b"")),
        ("SIGNER_STORE_DAMAGED", edit_line(1, units="1")),
        ("SIGNER_STORE_DAMAGED", lambda file: file.write_bytes(b"{}\n")),
        ("SIGNER_STORE_DAMAGED", lambda file: file.write_bytes(b"\xff" + file.read_bytes())),
        ("SIGNER_STORE_DAMAGED", keep(1, None)),
        ("SIGNER_STORE_RESTORED", keep(0, 3)),
        ("SIGNER_STORE_DAMAGED", append("released", wallet="hot", reason="", maker="", order="")),
        ("SIGNER_STORE_DAMAGED", append("registry", version="9", digest="00" * 32)),
        ("SIGNER_STORE_DAMAGED", append("spend", mac="00" * 32)),
    ],
)  # fmt: skip
def test_signs_nothing_once_it_was_touched(desk: Desk, expected: str, damage: Callable[[Path], None]) -> None:
    for _ in range(3):
        assert desk.spend() == "signed"
    desk.journal.close()
    damage(desk.file)
    desk.signer = desk._start()
    assert desk.health["state"] == expected
    assert desk.spend() == expected
    signed = desk.token.signed
    assert desk.spend() == expected
    assert desk.token.signed == signed


def test_knows_yesterdays_backup_from_today(desk: Desk) -> None:
    assert desk.spend() == "signed"
    backup = desk.file.read_bytes()
    intent = withdrawal(expires=desk.in_hours(1))
    assert desk.spend(intent=intent) == "signed"
    desk.file.write_bytes(backup)
    desk.restart()
    assert desk.spend(intent=intent) == "SIGNER_STORE_RESTORED"


def test_knows_another_token(desk: Desk) -> None:
    assert desk.spend() == "signed"
    desk.restart(token=SoftToken())
    assert desk.spend() == "SIGNER_TOKEN_CHANGED"


@pytest.mark.parametrize("torn", [b'{"at":1', b"x"])
def test_forgets_a_line_that_was_never_finished(desk: Desk, torn: bytes) -> None:
    assert desk.spend() == "signed"
    with desk.file.open("ab") as file:
        file.write(torn)
    desk.restart()
    assert desk.health["state"] == "ready"
    assert desk.spend() == "signed"
    assert desk.restart().health["state"] == "ready"


class Crash(Exception):
    """The process ends here."""


@pytest.mark.parametrize(
    "step", ["before the line", "between line and anchor", "before the signature", "after it"]
)
def test_counts_a_spend_whenever_a_signature_may_exist(
    desk: Desk, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = withdrawal(expires=desk.in_hours(1))
    mine = coin(desk.registry, "hot", 1, 90_000_000)
    asked = request(desk.registry, [intent], coins=[mine])
    assert desk.spend() == "signed"

    def crash(*args: Any, **kwargs: Any) -> Any:
        raise Crash

    real_append = Journal.append

    def append(self: Journal, event: str, details: Any, *, at_ms: int) -> Any:
        if (step, event) in {("before the line", "spend"), ("after it", "signed")}:
            raise Crash
        return real_append(self, event, details, at_ms=at_ms)

    monkeypatch.setattr(Journal, "append", append)
    if step == "between line and anchor":
        monkeypatch.setattr(SoftToken, "write", crash)
    if step == "before the signature":
        monkeypatch.setattr(SoftToken, "sign", crash)
    with pytest.raises(Crash):
        desk.ask(asked)
    monkeypatch.undo()
    desk.restart()
    assert desk.health["state"] == "ready"
    counted = step != "before the line"
    assert (str(intent.reference) in desk.file.read_text()) is counted
    assert desk.code(asked) == "signed"
    assert desk.spend(intent=intent) == "SIGNER_REPLAY"


def test_has_what_the_process_before_wrote_on_the_disk_before_its_token_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have ended before the disk had its lines: no power failure may leave the token knowing more."""
    steps = list[str]()

    def crash(*args: Any) -> Any:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr("custody.signer.disk.os.fdatasync", crash)
        with pytest.raises(Crash):
            desk.spend()
    synced, write = os.fdatasync, SoftToken.write
    with monkeypatch.context() as patch:
        patch.setattr("custody.signer.disk.os.fdatasync", lambda one: (steps.append("disk"), synced(one)))
        patch.setattr(SoftToken, "write", lambda *told: (steps.append("token"), write(*told)))
        desk.restart()
    assert steps == ["disk", "token"]
    assert desk.health["used"] == {"hot": "25002000"}


def test_counts_a_spend_that_the_token_then_failed_to_sign(desk: Desk) -> None:
    desk.token.broken = True
    assert desk.spend() == "SIGNER_TOKEN_FAILED"
    assert desk.health["used"] == {"hot": "25002000"}


def lost_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token signs, and cannot be written to, as while its cable is out."""

    def lost(*args: Any) -> None:
        raise Refused("SIGNER_TOKEN_FAILED", "lost on purpose")

    monkeypatch.setattr(SoftToken, "write", lost)


def test_keeps_a_freeze_that_the_token_could_not_be_told_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        lost_token(patch)
        freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
        assert desk.code(freeze) == "SIGNER_TOKEN_FAILED"
    assert desk.spend() == "SIGNER_FROZEN"
    assert desk.restart().spend() == "SIGNER_FROZEN"


def test_stays_shut_where_the_token_is_lost_in_the_middle_of_a_reopening(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would be open and remember nothing: what was paid before could be paid again."""
    paid = withdrawal(expires=desk.in_hours(1))
    assert desk.spend(intent=paid) == "signed"
    desk.journal.close()
    desk.file.unlink()
    desk.signer = desk._start()

    def reopening(nonce: bytes) -> dict[str, Any]:
        standing = desk.health["journal"]["standing"]
        return messages.order("signer.reopen", token="hot-1", standing=standing, nonce=nonce)

    with monkeypatch.context() as patch:
        lost_token(patch)
        assert desk.code(reopening(b"\x07" * 32)) == "SIGNER_TOKEN_FAILED"
    assert desk.spend(intent=paid) == "SIGNER_STORE_LOST"
    assert desk.code(reopening(b"\x08" * 32)) == "obeyed"
    assert desk.spend(intent=paid) == "SIGNER_FROZEN"
    assert desk.let_go(nonce=b"\x09" * 32) == "obeyed"
    assert desk.spend(intent=paid) == "SIGNER_INTENT_BEFORE_REOPENING"
    assert desk.restart().spend(intent=paid) == "SIGNER_INTENT_BEFORE_REOPENING"
