"""A full disk …"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.vault.log import Log
from custody.approver.log import Given, SigningLog
from custody.signer.disk import LANE_ROOM_BYTES_MIN, ROOM_BYTES_MIN
from fixtures.authenticator import Authenticator
from kernel import canonical, note
from kernel.approval import Verb
from kernel.registry import Registry
from tests.contract.test_approver_log import given
from tests.disks import files_no_longer_than, small
from tests.messages import order, request, withdrawal
from tests.softtoken import Desk
from tests.vault import BEN, DEPLOYMENT, ORIGIN, RP_ID, Message, registry_document

MIB = 1024 * 1024


@dataclass
class Kept:
    """One program's log: its file, how to have a line written, how to start anew, and the head it shows."""

    file: Path
    write: Callable[[int], object]
    restart: Callable[[], Kept]
    head: Callable[[], bytes]
    cut: Callable[[], int]


def vault(folder: Path) -> Kept:
    log = Log(folder / "log", origin="test/vault", key=Ed25519PrivateKey.from_private_bytes(b"\x06" * 32))

    def restart() -> Kept:
        log.close()
        return vault(folder)

    def write(number: int) -> object:
        return log.add({"v": 1, "n": number, "text": "x" * 300})

    return Kept(folder / "log", write, restart, lambda: log.tree.root(log.tree.size), lambda: log.cut)


def signatures(folder: Path) -> SigningLog:
    document = registry_document({})
    document["limits"]["window_units_max"] = {}
    registry = Registry.parse(canonical.encode(document))
    return SigningLog(
        folder,
        deployment=DEPLOYMENT,
        registry=lambda: registry,
        origin=ORIGIN,
        rp_id=RP_ID,
        clock=time.time,
    )


def approver(folder: Path) -> Kept:
    log = signatures(folder)

    def restart() -> Kept:
        log.close()
        return approver(folder)

    def write(number: int) -> object:
        return log.add(Given.parse(given(payload=b'{"n":%d}' % number)))

    file = folder / "signatures.jsonl"
    return Kept(file, write, restart, lambda: log.tree.root(log.tree.size), lambda: log.cut)


def signer(folder: Path, desk: Desk | None = None) -> Kept:
    desk = desk or Desk(folder / "state")

    def write(number: int) -> object:
        answer = desk.spend()
        assert answer == "signed", answer
        return answer

    def restart() -> Kept:
        return signer(folder, desk.restart())

    tree = lambda: desk.journal.tree.root(desk.journal.tree.size)  # noqa: E731
    return Kept(desk.file, write, restart, tree, lambda: desk.journal.cut)


@pytest.mark.parametrize("program", [vault, approver, signer])
def test_leaves_nothing_of_a_line_that_was_never_answered_for(
    tmp_path: Path, program: Callable[[Path], Kept]
) -> None:
    """Otherwise the next line would go on in the middle of it, and the log would be damaged for good."""
    kept = program(tmp_path)
    kept.write(1)
    before, head = kept.file.read_bytes(), kept.head()
    with files_no_longer_than(len(before) + 100), pytest.raises(OSError, match="written whole"):
        kept.write(2)
    assert (kept.file.read_bytes(), kept.head()) == (before, head)
    kept.write(3)
    after, head = kept.file.read_bytes(), kept.head()
    assert after.startswith(before)
    again = kept.restart()
    assert (again.file.read_bytes(), again.head(), again.cut()) == (after, head, 0)


@pytest.mark.parametrize("program", [vault, approver, signer])
def test_leaves_nothing_even_where_the_line_could_not_be_cut_back_at_once(
    tmp_path: Path, program: Callable[[Path], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = program(tmp_path)
    kept.write(1)
    before = kept.file.read_bytes()

    def broken(descriptor: int, length: int) -> None:
        raise OSError("read-only file system")

    with files_no_longer_than(len(before) + 100), monkeypatch.context() as patch:
        patch.setattr("os.ftruncate", broken)
        with pytest.raises(OSError, match="read-only"):
            kept.write(2)
    assert len(kept.file.read_bytes()) == len(before) + 100
    kept.write(3)
    after = kept.file.read_bytes()
    assert after.startswith(before)
    assert all(canonical.decode_object(line) for line in after.splitlines())
    again = kept.restart()
    assert (again.file.read_bytes(), again.cut()) == (after, 0)


@pytest.mark.parametrize("program", [vault, approver, signer])
def test_costs_a_torn_end_and_no_more(tmp_path: Path, program: Callable[[Path], Kept]) -> None:
    """As after a power failure in the middle of a line."""
    kept = program(tmp_path)
    kept.write(1)
    whole = kept.file.read_bytes()
    with kept.file.open("ab") as file:
        file.write(b'{"half')
    again = kept.restart()
    assert (again.file.read_bytes(), again.cut()) == (whole, 6)


def unattended(asked: Message) -> Message:
    plain = [one["payload"] for one in asked["intents"]]
    return {**asked, "type": "sign_unattended", "intents": plain}


def test_stops_the_lane_first_then_all_signing_and_never_an_officers_freeze(tmp_path: Path) -> None:
    with small(tmp_path / "disk", mib=64) as disk:
        desk = Desk(disk.folder / "state")
        asked = request(desk.registry, [withdrawal(expires=desk.in_hours(1))])
        assert desk.code(unattended(asked)) == "SIGNER_NO_LANE"
        disk.leave(LANE_ROOM_BYTES_MIN - MIB)
        assert desk.code(unattended(asked)) == "SIGNER_DISK_FULL"
        assert desk.spend() == "signed"
        disk.leave(ROOM_BYTES_MIN - MIB)
        assert desk.spend() == "SIGNER_DISK_FULL"
        assert desk.health["state"] == "SIGNER_DISK_FULL"
        disk.leave(0)
        lines, asked_by = -1, 0
        while lines < desk.journal.lines:  # there is room in the file's last block
            lines, asked_by = desk.journal.lines, asked_by + 1
            refused = desk.signer.answer({"v": 1, "type": "nonsense"}, f"{asked_by}")
            assert refused["code"] == "SIGNER_BAD_REQUEST"
        freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
        assert desk.code(freeze) == "obeyed"
        disk.leave(32 * MIB)
        desk.now += 60
        assert desk.spend() == "SIGNER_FROZEN"
        counts, frozen = [json.loads(line) for line in desk.file.read_text().splitlines()][-2:]
        assert counts["details"]["counts"] == {f"{asked_by}": {"SIGNER_BAD_REQUEST": "1"}}
        assert frozen["details"]["code"] == "SIGNER_FROZEN"
        disk.leave(0)
        assert desk.restart().health["frozen"] == {"hot": "a test"}


def test_stops_signatures_on_the_approvers_page_but_for_those_that_stop_something(tmp_path: Path) -> None:
    with small(tmp_path / "disk", mib=2) as disk:
        log = signatures(disk.folder)

        def hand_in(number: int, **said: Any) -> int:
            return log.add(Given.parse(given(payload=b'{"n":%d}' % number, said=said)))

        disk.leave(0)
        written = 0
        with contextlib.suppress(OSError):
            while True:
                written = hand_in(written) + 1
        freeze: dict[str, Any] = {"payload": b"{}", "said": {"kind": "signer.freeze"}}
        # Anybody can make a key, and say that it stops something.
        with pytest.raises(OSError, match=r"space|whole"):
            log.add(Given.parse(given(Authenticator(), **freeze)))
        assert hand_in(1000, kind="signer.freeze") == written
        assert hand_in(1001, kind="signer.veto") == written + 1
        log.close()
        again = signatures(disk.folder)
        assert again.tree.size == written + 2
        disk.leave(MIB)
        assert again.add(Given.parse(given())) == written + 2
        head = note.Checkpoint.parse(note.open_note(again.head(), by=again.verifier))
        assert head.size == written + 3
        again.close()
