"""Spends whose lines are settled together, where the disk or the journal's file fails them …"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from pathlib import Path

import pytest

from custody.signer.disk import File
from custody.signer.journal import Journal
from kernel.approval import Verb
from kernel.entry import SPEND, Entry
from tests import messages
from tests.groups import COUNTED, WAIT_S, HeldToken, codes, group, written
from tests.softtoken import Desk
from tests.vault import BEN, Message


def test_are_not_signed_where_the_disk_did_not_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk says so once: whoever asks again is told that all is well."""
    with group(tmp_path) as signer:
        first, *others = signer.some(3)
        failed, real, seen = list[int](), signer.held.sign_all, threading.Event()

        def sign_all(wanted: list[tuple[int, bytes, bytes]]) -> list[bytes]:
            assert seen.wait(WAIT_S)  # the first is at the token while the disk fails the others
            return real(wanted)

        signer.held.sign_all = sign_all  # type: ignore[method-assign,assignment]

        def fails_once(descriptor: int) -> None:
            failed.append(descriptor)
            seen.set()
            if len(failed) == 1:
                raise OSError(errno.EIO, "on purpose")

        monkeypatch.setattr("custody.signer.disk.os.fdatasync", fails_once)
        signer.let()
        assert isinstance(others[0].exception(WAIT_S) or others[1].exception(WAIT_S), OSError)
        answered = [one.result() for one in (first, *others) if one.exception(WAIT_S) is None]
        assert [one.get("code") for one in answered] == ["SIGNER_STORE_DAMAGED"] * 2
        assert len(failed) == 1
        assert signer.code(signer.spend()) == "SIGNER_STORE_DAMAGED"
        monkeypatch.undo()
        again = signer.desk.restart()  # here the disk has them after all
        assert again.health["used"] == {"hot": str(3 * COUNTED)}
        assert again.spend() == "signed"


@pytest.mark.parametrize("stops", [True, False])
def test_are_not_signed_where_the_disk_said_so_to_another_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    """Of two that ask, it tells one: here a line that is synced by itself, and then it takes that line."""
    with group(tmp_path) as signer:
        asked, failed, real = signer.some(3), list[int](), os.fdatasync

        def fails_once(descriptor: int) -> None:
            failed.append(descriptor)
            if len(failed) == 1:
                raise OSError(errno.EIO, "on purpose")
            real(descriptor)

        monkeypatch.setattr("custody.signer.disk.os.fdatasync", fails_once)
        freeze = messages.order("signer.freeze", wallet="hot/lane", verb=Verb.APPROVE, officers=[BEN])
        other = signer.follower(freeze) if stops else signer.ask(signer.spend(officers=[BEN]))
        until = time.monotonic() + WAIT_S
        while not failed:
            assert time.monotonic() < until
        signer.let()
        assert codes(asked) == ["SIGNER_STORE_DAMAGED"] * 3
        assert codes([other]) == ["SIGNER_STORE_DAMAGED" if stops else "SIGNER_BELOW_QUORUM"]
        assert "refused" not in signer.events
        monkeypatch.undo()
        again = signer.desk.restart()
        assert again.health["used"] == {"hot": str(3 * COUNTED)}
        assert again.health["frozen"] == ({"hot/lane": "a test"} if stops else {})


def test_are_signed_after_the_disk_failed_what_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path / "state")
    assert desk.spend() == "signed"

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "on purpose")

    with monkeypatch.context() as patch:
        patch.setattr("custody.signer.disk.os.fdatasync", fails)
        with pytest.raises(OSError, match="on purpose"):
            desk.ask({"v": 1, "type": "log_head"})
    assert desk.spend() == "signed"


def test_are_on_the_disk_only_when_it_said_so_after_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, asked = File(tmp_path), list[int]()

    def fdatasync(descriptor: int) -> None:
        asked.append(descriptor)
        if len(asked) == 2:
            raise OSError(errno.EIO, "on purpose")
        if len(asked) == 3:
            file.append(b"meanwhile\n", synced=False, stops=False)

    monkeypatch.setattr("custody.signer.disk.os.fdatasync", fdatasync)
    file.sync()  # what the process before left
    file.append(b"a line\n", synced=False, stops=False)
    with pytest.raises(OSError, match="on purpose"):
        file.sync()
    for _ in range(3):
        file.sync()
    assert len(asked) == 4
    file.close()


def test_go_on_where_the_disk_fails_no_line_but_one_that_it_then_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with group(tmp_path) as signer:
        first, failed, real = signer.leader(signer.spend()), list[int](), os.fdatasync

        def fails_second(descriptor: int) -> None:
            failed.append(descriptor)
            if len(failed) == 2:
                raise OSError(errno.ENOSPC, "on purpose")
            real(descriptor)

        monkeypatch.setattr("custody.signer.disk.os.fdatasync", fails_second)
        second = signer.follower(signer.spend())
        freeze = messages.order("signer.freeze", wallet="hot/lane", verb=Verb.APPROVE, officers=[BEN])
        obeyed = signer.follower(freeze)
        signer.let()
        assert codes([obeyed, first, second]) == ["obeyed", "signed", "signed"]
        assert len(failed) > 2
        again = signer.desk.restart()
        assert again.health["frozen"] == {"hot/lane": "a test"}
        assert again.health["used"] == {"hot": str(2 * COUNTED)}


def test_are_not_signed_once_officers_reopened_the_signer_meanwhile(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        first = signer.leader(signer.spend())
        standing = signer.desk.health["journal"]["standing"]
        reopened = signer.follower(messages.order("signer.reopen", token="hot-1", standing=standing))
        signer.let()
        assert codes([reopened, first]) == ["obeyed", "SIGNER_INTENT_BEFORE_REOPENING"]


def test_keep_their_file_where_the_disk_failed_after_officers_reopened_another_standing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was to be opened as it stood, with nothing lost and so nothing frozen."""
    desk = Desk(tmp_path / "state")
    written(desk, SPEND)

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "on purpose")

    real = Journal.reopen

    def reopen(self: Journal, details: Message, *, at_ms: int) -> Entry:
        with monkeypatch.context() as patch, contextlib.suppress(OSError):
            patch.setattr("custody.signer.disk.os.fdatasync", fails)
            self.settle()  # somebody aside
        return real(self, details, at_ms=at_ms)

    standing = desk.health["journal"]["standing"]
    monkeypatch.setattr(Journal, "reopen", reopen)
    assert (
        desk.code(messages.order("signer.reopen", token="hot-1", standing=standing)) == "SIGNER_STORE_DAMAGED"
    )
    assert desk.restart().health["used"] == {"hot": "0"}
    assert [entry.event for entry in desk.journal.weighty] == ["genesis", SPEND]


def test_are_settled_no_more_once_their_file_was_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for them finds a new file, before its first line is written."""
    token = HeldToken()
    desk, waits = Desk(tmp_path / "state", token=token), list[threading.Thread]()
    for _ in range(3):
        written(desk, SPEND)

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "on purpose")

    with monkeypatch.context() as patch:
        patch.setattr("custody.signer.disk.os.fdatasync", fails)
        with pytest.raises(OSError, match="on purpose"):
            desk.journal.settle()
    real_put_aside, real_append = File.put_aside, Journal.append

    def put_aside(self: File, at_ms: int) -> None:
        waits.append(threading.Thread(target=desk.journal.settle))
        waits[0].start()
        time.sleep(0.05)  # until it waits
        real_put_aside(self, at_ms)

    def append(self: Journal, event: str, details: Message, *, at_ms: int) -> Entry:
        waits[0].join()
        return real_append(self, event, details, at_ms=at_ms)

    monkeypatch.setattr(File, "put_aside", put_aside)
    monkeypatch.setattr(Journal, "append", append)
    standing, before = desk.health["journal"]["standing"], token.anchors
    assert desk.code(messages.order("signer.reopen", token="hot-1", standing=standing)) == "obeyed"
    monkeypatch.undo()
    assert (json.loads(token.anchor or b"")["n"], token.anchors - before) == (0, 1)
    assert desk.restart().health["state"] == "SIGNER_FROZEN"  # by the reopening, since lines were lost


def test_are_written_whole_or_not_at_all_also_while_others_are_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with group(tmp_path) as signer:
        first = signer.leader(signer.spend())
        before, real = signer.desk.file.read_bytes(), os.write
        monkeypatch.setattr("custody.signer.disk.os.write", lambda where, data: real(where, data[:40]))
        assert isinstance(signer.ask(signer.spend()).exception(WAIT_S), OSError)
        monkeypatch.undo()
        assert signer.desk.file.read_bytes() == before
        second = signer.follower(signer.spend())
        signer.let()
        assert codes([first, second]) == ["signed"] * 2
        assert signer.desk.restart().health["used"] == {"hot": str(2 * COUNTED)}
