"""Spends whose lines are settled together …

Several are decided while the token is being told of an earlier one: one sync and one anchor for all of them,
before a key is used for any (ADR 0045).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from custody.signer.disk import File
from custody.signer.journal import AHEAD_MAX, SPEND, Entry, Journal
from custody.signer.refusals import Refused
from kernel import evm
from kernel.approval import Verb
from kernel.intent import Intent
from kernel.safe import SafeTransaction
from kernel.seats import AT_ONCE
from tests import messages
from tests.contract.test_signer_safe import CHAIN_ID, ETHER, message, payment
from tests.faults.test_signer_turns import FEE, ONE, SMALL, Busy
from tests.messages import coin
from tests.softtoken import TOKENS, Desk, SoftToken, hot_registry, keys_of
from tests.vault import BEN, CY, Message

COUNTED = SMALL + FEE
WAIT_S = 10  # for what comes at once, or never


class HeldToken(SoftToken):
    """It takes an anchor once it is let, and keeps count; `fails` of the next it does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_write = threading.Semaphore(0), threading.Event()
        self.may_write.set()
        self.fails = self.anchors = 0
        self.knew: dict[bytes, int] = {}  # digest -> the newest line it knew of when it signed that

    def write(self, value: bytes) -> None:
        self.begun.release()
        assert self.may_write.wait(WAIT_S)
        if self.fails:
            self.fails -= 1
            raise Refused("SIGNER_TOKEN_FAILED", "lost on purpose")
        self.anchors += 1
        super().write(value)

    def sign(self, index: int, digest: bytes, *, public_key: bytes) -> bytes:
        assert self.anchor is not None
        self.knew[digest] = json.loads(self.anchor)["n"]
        return super().sign(index, digest, public_key=public_key)


class Group(Busy):
    """A desk whose token is being told of one spend while others are decided."""

    def __init__(self, desk: Desk, pool: ThreadPoolExecutor) -> None:
        super().__init__(desk, pool)
        self.held.may_write.clear()
        while self.held.begun.acquire(blocking=False):
            pass  # what it was told of at the start

    @property
    def held(self) -> HeldToken:
        assert isinstance(self.desk.token, HeldToken)
        return self.desk.token

    def leader(self, message: Message) -> Future[Message]:
        """Decided, and the token is being told of it."""
        answer = self.ask(message)
        assert self.held.begun.acquire(timeout=WAIT_S)
        return answer

    def follower(self, message: Message) -> Future[Message]:
        """Decided, and waiting for what comes after that."""
        lines = self.desk.journal.lines
        answer = self.ask(message)
        until = time.monotonic() + WAIT_S
        while self.desk.journal.lines == lines:
            assert time.monotonic() < until, "nothing was written"
            time.sleep(0.001)
        return answer

    def some(self, count: int = AT_ONCE) -> list[Future[Message]]:
        return [self.leader(self.spend()), *(self.follower(self.spend()) for _ in range(count - 1))]

    def let(self) -> None:
        self.held.may_write.set()

    def killed(self, name: str, *, lost: int = 0) -> Desk:
        """What a kill leaves now, or a power failure that takes the last lines: started again."""
        folder = self.desk.state.parent / name
        shutil.copytree(self.desk.state, folder)
        file = folder / "journal.jsonl"
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[: len(lines) - lost]))
        token = SoftToken()
        token.anchor = self.held.anchor
        return Desk(folder, registry=self.desk.registry, token=token)


def codes(answers: list[Future[Message]]) -> list[str]:
    found = [answer.result(WAIT_S) for answer in answers]
    return [str(answer.get("code", answer["type"])) for answer in found]


@contextlib.contextmanager
def group(folder: Path, **registry: object) -> Iterator[Group]:
    desk = Desk(folder / "state", registry=hot_registry(**registry), token=HeldToken())
    with ThreadPoolExecutor(3 * AT_ONCE) as pool:
        found = Group(desk, pool)
        try:
            yield found
        finally:
            found.let()


def test_cost_one_anchor_and_none_is_signed_before_the_token_knows_of_it(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        before = signer.held.anchors
        asked = signer.some()
        assert signer.held.signed == 0
        signer.let()
        assert codes(asked) == ["signed"] * AT_ONCE
        assert signer.held.anchors - before == 2  # the first by itself, then all others
        lines = [json.loads(line) for line in signer.desk.file.read_bytes().splitlines()]
        spends = {line["details"]["txid"]: line["n"] for line in lines if line["event"] == "spend"}
        assert len(spends) == len(signer.held.knew) == AT_ONCE
        assert min(signer.held.knew.values()) == min(spends.values())
        assert sorted(signer.held.knew.values())[1:] == [max(spends.values())] * (AT_ONCE - 1)


def test_wait_for_the_line_of_one_that_was_asked_for_before(tmp_path: Path) -> None:
    """It pays nothing new and writes no line, so it must not slip past the line that counts it."""
    with group(tmp_path) as signer:
        message = signer.spend()
        first, again = signer.leader(message), signer.ask(message)
        with pytest.raises(TimeoutError):
            again.result(0.3)
        assert not signer.held.knew
        signer.let()
        assert codes([first, again]) == ["signed"] * 2
        line = next(entry.number for entry in signer.desk.journal.weighty if entry.event == "spend")
        assert set(signer.held.knew.values()) == {line}


def test_are_counted_wherever_the_signer_is_killed(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        known: list[tuple[Intent, Message]] = []

        def check(name: str) -> None:
            again = signer.killed(name)
            assert again.health["state"] == "ready"
            assert again.health["used"] == {"hot": str(len(known) * COUNTED)}
            for intent, message in known:
                assert again.spend(intent) == "SIGNER_REPLAY"
                assert again.code(message) == "signed"
            assert again.restart().health["state"] == "ready"
            again.signer.close()

        asked = []
        for number in range(AT_ONCE):
            intent, mine = signer.intent(), coin(signer.desk.registry, "hot", 1, 90_000_000)
            known.append((intent, signer.spend(intent, coins=[mine])))
            asked.append((signer.follower if number else signer.leader)(known[-1][1]))
            check(f"written-{number}")
        real = signer.held.sign_all
        told = iter(range(AT_ONCE))

        def sign_all(wanted: list[tuple[int, bytes, bytes]]) -> list[bytes]:
            check(f"told-{next(told)}")
            return real(wanted)

        signer.held.sign_all = sign_all  # type: ignore[method-assign,assignment]
        signer.let()
        assert codes(asked) == ["signed"] * AT_ONCE
        check("signed")


def test_may_lose_their_lines_to_a_power_failure_and_only_while_none_is_signed(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        asked = signer.some()
        for lost in range(AT_ONCE + 1):
            again = signer.killed(f"lost-{lost}", lost=lost)
            assert again.health["state"] == "ready"
            assert again.health["used"] == {"hot": str((AT_ONCE - lost) * COUNTED)}
            again.signer.close()
        assert signer.held.signed == 0
        signer.let()
        assert codes(asked) == ["signed"] * AT_ONCE
        again = signer.killed("too-late", lost=AT_ONCE + 1)  # theirs, `signed`, and one of those before
        assert again.health["state"] == "SIGNER_STORE_RESTORED"
        again.signer.close()


def test_are_each_refused_where_the_token_cannot_be_told_and_stay_counted(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        known = [(signer.intent(), coin(signer.desk.registry, "hot", 1, 90_000_000)) for _ in range(3)]
        sent = [signer.spend(intent, coins=[mine]) for intent, mine in known]
        asked = [signer.leader(sent[0]), *map(signer.follower, sent[1:])]
        signer.held.fails = len(asked)
        signer.let()
        assert codes(asked) == ["SIGNER_TOKEN_FAILED"] * len(asked)
        assert signer.held.signed == 0
        assert signer.desk.health["used"] == {"hot": str(len(asked) * COUNTED)}
        again = signer.killed("token-failed")
        assert again.health["used"] == {"hot": str(len(asked) * COUNTED)}
        again.signer.close()
        assert [signer.code(signer.spend(intent)) for intent, _ in known] == ["SIGNER_REPLAY"] * len(asked)
        assert [signer.code(message) for message in sent] == ["signed"] * len(asked)


def test_are_signed_where_the_token_failed_only_the_one_before_them(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        asked = signer.some(3)
        signer.held.fails = 1
        signer.let()
        assert codes(asked) == ["SIGNER_TOKEN_FAILED", "signed", "signed"]
        assert signer.desk.restart().health["used"] == {"hot": str(3 * COUNTED)}


def test_of_a_safe_are_settled_before_it_is_signed(tmp_path: Path) -> None:
    ether = {"decimals": 18, "window_units_max": str(5 * ETHER), "payment_units_max": str(2 * ETHER)}
    ether |= {"destination_units_max": str(5 * ETHER)}
    owners = {name: keys_of(name)[0].public_key.hex() for name in TOKENS}
    safe = {"chain_id": CHAIN_ID, "address": evm.address(b"\x11" * 20), "m": 2, "owners": owners}
    safe |= {"teams": {"treasury": 2}, "assets": {"ETH": ether}}
    registry = hot_registry(wallets={}, limits={"window_units_max": {}}, safes={"vault": safe})
    token, pinned = HeldToken(), registry.safes["vault"]
    desk, intent = Desk(tmp_path / "state", registry=registry, token=token), payment()
    call = pinned.transfer(intent.amount.asset, intent.amount.units, intent.destination)
    asked = message(intent, SafeTransaction(CHAIN_ID, pinned.address, *call, 1))
    token.fails = 1
    assert (desk.code(asked), token.signed) == ("SIGNER_TOKEN_FAILED", 0)
    assert desk.code(asked) == "signed_safe"
    assert list(token.knew.values()) == [desk.journal.weighty[-1].number]


def test_run_no_further_ahead_of_a_token_that_fails_than_is_said(tmp_path: Path) -> None:
    token = HeldToken()
    desk = Desk(tmp_path / "state", token=token)
    token.fails = 1_000
    for number in range(AHEAD_MAX + 2):
        assert desk.spend() == "SIGNER_TOKEN_FAILED"
        events = [json.loads(line)["event"] for line in desk.file.read_bytes().splitlines()]
        assert events.count("spend") == min(number + 1, AHEAD_MAX)
    freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert desk.code(freeze) == "SIGNER_TOKEN_FAILED"  # and yet it is written
    token.fails = 0
    assert desk.restart().health["frozen"] == {"hot": "a test"}
    assert desk.health["used"] == {"hot": str(AHEAD_MAX * COUNTED)}


def written(desk: Desk, event: str) -> None:
    """A line of the signer's own."""
    if event == SPEND:
        txid = coin(desk.registry, "hot", 1, 90_000_000)[0].txid
        details: Message = {"wallet": "cold", "txid": txid, "units": "1", "paid": {}, "coins": []}
        details |= {"intents": {}, "unattended": False}
    else:
        details = {"wallet": "cold", "reason": "a test", "maker": "Ana", "digest": ""}
    desk.signer.remember(event, details)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([SPEND] * AHEAD_MAX, "ready"),
        ([SPEND] * (AHEAD_MAX + 1), "SIGNER_STORE_RESTORED"),
        ([*[SPEND] * AHEAD_MAX, "released", "frozen", "vetoed", "frozen"], "ready"),
        (["released", "frozen"], "ready"),
        (["frozen"] * 9, "ready"),
        ([SPEND, "released", "released"], "SIGNER_STORE_RESTORED"),
        (["frozen", "released"], "SIGNER_STORE_RESTORED"),
        (["frozen", SPEND], "SIGNER_STORE_RESTORED"),
        ([SPEND, "frozen", SPEND], "SIGNER_STORE_RESTORED"),
    ],
)  # fmt: skip
def test_are_alone_in_being_ahead_of_the_token_but_for_one_line_behind_them_and_stops(
    tmp_path: Path, after: list[str], expected: str
) -> None:
    """However the lines were made: here by the signer itself, and the token put back."""
    desk = Desk(tmp_path / "state")
    anchor = desk.token.anchor
    for event in after:
        written(desk, event)
    desk.journal.settle()
    desk.token.anchor = anchor
    assert desk.restart().health["state"] == expected


@pytest.mark.parametrize("spends", [0, 1, AHEAD_MAX - 1, AHEAD_MAX])
def test_never_get_further_ahead_of_a_lost_token_than_the_next_start_takes(
    tmp_path: Path, spends: int
) -> None:
    for number, events in enumerate(itertools.product([SPEND, "frozen", "released"], repeat=3)):
        token = HeldToken()
        desk = Desk(tmp_path / str(number), token=token)
        token.fails = 1_000
        stands = ["genesis"]
        for event in [*[SPEND] * spends, *events]:
            before = desk.journal.lines
            with contextlib.suppress(Refused):
                written(desk, event)
            stands += [event] * (desk.journal.lines - before)
            assert event != "frozen" or desk.journal.lines > before  # what stops is written in any case
        token.fails = 0
        assert desk.restart().health["state"] == "ready"
        assert [entry.event for entry in desk.journal.weighty] == stands
        assert json.loads(token.anchor or b"")["n"] == desk.journal.lines - 1
        desk.journal.close()


def test_hold_one_back_that_is_refused_and_no_other(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        first = signer.leader(signer.spend())
        assert signer.code(signer.spend(officers=[BEN])) == "SIGNER_BELOW_QUORUM"
        second = signer.follower(signer.spend())
        signer.let()
        assert codes([first, second]) == ["signed"] * 2
        assert signer.events.count("spend") == 2


def test_count_against_each_other_before_they_are_settled(tmp_path: Path) -> None:
    with group(tmp_path, **ONE) as signer:
        first = signer.leader(signer.spend())
        assert signer.code(signer.spend()) == "SIGNER_WINDOW_FULL"
        signer.let()
        assert codes([first]) == ["signed"]


@pytest.mark.parametrize(
    ("subject", "code"), [("hot", "SIGNER_FROZEN"), (f"officer:{BEN}", "SIGNER_OFFICER_SUSPENDED")]
)
def test_stay_in_once_a_freeze_is_obeyed_that_was_settled_with_them(
    tmp_path: Path, subject: str, code: str
) -> None:
    with group(tmp_path) as signer:
        asked, before = signer.some(3), signer.held.anchors
        freeze = messages.order("signer.freeze", wallet=subject, verb=Verb.APPROVE, officers=[CY])
        obeyed = signer.follower(freeze)
        signer.let()
        assert codes([obeyed, *asked]) == ["obeyed", *[code] * 3]
        assert signer.held.anchors - before == 2
        assert signer.desk.restart().health["used"] == {"hot": str(3 * COUNTED)}


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
