"""A signer that makes the next file of its journal while others have their turn …"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from custody.signer.refusals import Refused
from kernel.approval import Verb
from kernel.checkpoint import Draft
from tests import messages
from tests.checkpoints import events, shorten, soon
from tests.faults.test_signer_turns import FEE, busy
from tests.groups import WAIT_S, written
from tests.holding import Orders
from tests.messages import withdrawal
from tests.softtoken import Desk
from tests.vault import ANA, BEN, CY


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def meanwhile(desk: Desk, act: Callable[[], object]) -> None:
    """While the next file is made, this happens."""

    @contextlib.contextmanager
    def aside() -> Iterator[None]:
        desk.signer.aside = contextlib.nullcontext
        act()
        yield

    desk.signer.aside = aside
    while desk.signer.aside is aside:
        desk.signer.remember("started", {"nonce": "a test"})
        assert desk.health


def test_keeps_what_is_signed_and_ordered_meanwhile(desk: Desk) -> None:
    assert desk.spend() == "signed"
    paid, begun = withdrawal(expires=desk.in_hours(1)), desk.file.stat().st_ino
    freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")

    def act() -> None:
        assert desk.spend(intent=paid) == "signed"
        assert desk.code(freeze) == "obeyed"

    meanwhile(desk, act)
    assert desk.file.stat().st_ino != begun
    assert events(desk)[-3:] == ["spend", "frozen", "checkpoint"]
    for _ in range(2):
        assert desk.health["frozen"] == {"hot": "a test"}
        assert desk.health["used"] == {"hot": str(2 * 25_002_000)}
        desk.restart()
    assert desk.let_go("hot") == "obeyed"
    assert desk.spend(intent=paid) == "SIGNER_REPLAY"


def test_begins_the_next_file_after_a_fault_that_nobody_foresaw(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would take itself to be at it for ever, and the file grow until the disk is full."""

    def fails(*_: object, **__: object) -> None:
        raise MemoryError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(Draft, "forget", fails)
        with pytest.raises(MemoryError):
            shorten(desk)
    assert desk.spend() == "signed"
    shorten(desk)
    assert desk.health["used"] == {"hot": "25002000"}


def test_begins_no_file_where_another_journal_was_begun_meanwhile(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines were lost, and officers reopened it: what was drafted is of a journal that is no more."""
    assert desk.spend() == "signed"

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "on purpose")

    def act() -> None:
        written(desk, "spend")
        with monkeypatch.context() as patch, contextlib.suppress(OSError):
            patch.setattr("custody.signer.disk.os.fdatasync", fails)
            desk.journal.settle()
        assert Orders(desk).reopen(ANA, [BEN, CY]) == "obeyed"

    meanwhile(desk, act)
    for _ in range(2):
        assert [entry.event for entry in desk.journal.weighty] == ["reopened"]
        assert desk.health["state"] == "SIGNER_FROZEN"
        desk.restart()


def test_makes_one_at_a_time_whoever_asks_how_it_is_meanwhile(desk: Desk) -> None:
    """A second draft, over the first one's, would be the state that the new file names."""

    @contextlib.contextmanager
    def second() -> Iterator[None]:
        yield
        raise Refused("SIGNER_TOKEN_FAILED", "its turn would come later")

    @contextlib.contextmanager
    def first() -> Iterator[None]:
        yield
        desk.signer.aside = contextlib.nullcontext
        assert desk.spend() == "signed"
        desk.signer.aside = second
        assert desk.health
        desk.signer.aside = contextlib.nullcontext

    assert [desk.spend() for _ in range(3)] == ["signed"] * 3
    begun, desk.signer.aside = desk.file.stat().st_ino, first
    assert desk.health
    assert desk.file.stat().st_ino != begun
    assert desk.restart().health["state"] == "ready"
    assert desk.health["used"] == {"hot": str(4 * 25_002_000)}


def test_hears_officers_while_it_makes_a_file_and_while_others_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its door, where everybody waits for a turn: what takes long is done in nobody's."""
    with busy(tmp_path) as signer:
        signing = signer.signing(signer.spend())
        while not signer.desk.journal.is_long:
            signer.desk.signer.remember("started", {"nonce": "a test"})
        begun, made, may = signer.desk.file.stat().st_ino, threading.Event(), threading.Event()
        real = Draft.forget

        def forget(self: Draft, *args: Any, **how: Any) -> bytes:
            made.set()
            assert may.wait(WAIT_S)
            return real(self, *args, **how)

        monkeypatch.setattr(Draft, "forget", forget)
        asked = signer.ask({"v": 1, "type": "health"})
        assert made.wait(WAIT_S)
        freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot/lane")
        assert signer.code(freeze) == "obeyed"
        may.set()
        assert asked.result(WAIT_S)["frozen"] == {"hot/lane": "a test"}
        assert signer.desk.file.stat().st_ino != begun
        signer.token.may_sign.set()
        assert signing.result(WAIT_S)["type"] == "signed"
        again = signer.desk.restart()
        assert again.health["frozen"] == {"hot/lane": "a test"}
        assert again.health["used"] == {"hot": str(25_000_000 + FEE)}
