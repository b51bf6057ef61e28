"""A signer that begins a new file of its journal …"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from custody.signer import requests
from custody.signer.disk import MemoryInUse
from custody.signer.journal import Journal
from kernel import merkle
from kernel.approval import Verb
from kernel.checkpoint import Draft
from kernel.intent import time_text
from tests import messages
from tests.checkpoints import DAY, later, pieces, shorten, soon
from tests.customers import Customer
from tests.desks import attest, outstanding, pay, seasoned_desk
from tests.faults.test_signer_counts import COUNTED, Counting
from tests.faults.test_signer_turns import FEE, busy
from tests.groups import WAIT_S, written
from tests.holding import Orders
from tests.messages import coin, withdrawal
from tests.registries import succession
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import ANA, BEN, CY, Message
from tests.watchers import WATCHERS, Watcher, cosigned, section


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def events(desk: Desk) -> list[str]:
    return [entry.event for entry in desk.journal.weighty]


def test_starts_from_what_was_kept_and_reads_no_older_file(desk: Desk) -> None:
    intent, mine = withdrawal(expires=desk.in_hours(1)), coin(desk.registry, "hot", 1, 90_000_000)
    assert desk.spend(intent=intent, coins=[mine]) == "signed"
    freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot/lane")
    assert desk.code(freeze) == "obeyed"
    shorten(desk, 3)
    assert len(pieces(desk)) == 4
    for path in pieces(desk)[:-1]:
        path.unlink()
    desk.restart()
    assert (desk.health["state"], desk.health["frozen"]) == ("ready", {"hot/lane": "a test"})
    assert desk.health["used"] == {"hot": "25002000"}
    assert desk.code(freeze) == "SIGNER_ORDER_USED"
    assert desk.spend(intent=intent) == "SIGNER_REPLAY"
    assert desk.spend(intent=intent, coins=[mine]) == "signed"


def test_forgets_what_is_over_but_for_eight_bytes_of_each_name(desk: Desk) -> None:
    def grown() -> tuple[int, int]:
        for _ in range(20):
            assert desk.spend() == "signed"
            desk.now += 3 * DAY
        later(desk, 8)
        [state] = desk.state.glob("checkpoint-*.jsonl")
        head, *kept = state.read_text().splitlines()
        return len(kept), len(json.loads(head)["names"])

    (first, names), (then, more) = grown(), grown()
    assert (then, more - names) == (first, 20 * 16)  # two digits a byte
    assert len(desk.restart().journal.weighty) < 10


def test_keeps_a_file_as_long_as_there_is_no_reason_for_another(desk: Desk) -> None:
    for _ in range(20):
        desk.ask({"v": 1, "type": "log_head"})
        assert desk.spend() == "signed"
    assert pieces(desk) == [desk.file]  # nobody asked how it is
    assert desk.health
    assert len(pieces(desk)) == 2
    begun = desk.file.stat().st_ino
    for _ in range(20):
        assert desk.health
    assert desk.file.stat().st_ino == begun


# Nothing is paid twice.


def test_pays_nothing_twice_that_it_forgot_whatever_officers_sign_anew(desk: Desk) -> None:
    intent, mine = withdrawal(expires=desk.in_hours(1)), coin(desk.registry, "hot", 1, 90_000_000)
    assert desk.spend(intent=intent, coins=[mine]) == "signed"
    later(desk, 9)
    assert "spend" not in events(desk)
    for _ in range(2):
        again = withdrawal(reference=intent.reference, expires=desk.in_hours(1))
        assert desk.spend(intent=again) == "SIGNER_REPLAY"
        assert desk.spend(intent=again, coins=[mine]) == "SIGNER_REPLAY"
        assert desk.spend() == "signed"
        desk.restart()
        later(desk, 400)


def test_signs_a_higher_fee_as_long_as_what_was_approved_is_good(desk: Desk) -> None:
    intent, mine = withdrawal(expires=desk.in_hours(24 * 7)), coin(desk.registry, "hot", 1, 90_000_000)
    assert desk.spend(intent=intent, coins=[mine]) == "signed"
    later(desk, 6.9)
    assert desk.spend(intent=intent) == "SIGNER_REPLAY"
    assert desk.spend(intent=intent, coins=[mine], fee=3_000) == "signed"
    # Both versions are kept as long as either could matter.
    later(desk, 6.9)
    assert events(desk).count("spend") == 2
    anew = withdrawal(reference=intent.reference, expires=desk.in_hours(1))
    assert desk.spend(intent=anew, coins=[mine], fee=4_000) == "signed"
    assert desk.spend(intent=anew) == "SIGNER_REPLAY"


def test_pays_nothing_twice_after_officers_put_its_clock_back(desk: Desk) -> None:
    """A clock far ahead made it forget; what it forgot comes back with an end that is in time again."""
    desk.now += 30 * DAY
    intent = withdrawal(expires=desk.in_hours(1))
    assert desk.spend(intent=intent) == "signed"
    now = desk.now
    later(desk, 400)
    assert "spend" not in events(desk)
    desk.now = now + 60
    assert desk.spend() == "SIGNER_CLOCK_BACK"
    assert Orders(desk).reopen(ANA, [BEN, CY]) == "obeyed"
    assert desk.spend(intent=intent) == "SIGNER_INTENT_BEFORE_REOPENING"
    desk.now += 7 * DAY
    week = {"expires": desk.in_hours(24 * 7)}
    for _ in range(2):
        assert desk.spend(intent=withdrawal(reference=intent.reference, **week)) == "SIGNER_REPLAY"
        # And what its windows would have to count, it does not know: so it pays nothing until they do.
        assert desk.spend(intent=withdrawal(**week)) == "SIGNER_WINDOW_FULL"
        desk.restart()
    desk.now += 500 * DAY
    again = withdrawal(reference=intent.reference, expires=desk.in_hours(1))
    assert [desk.spend(intent=again), desk.spend()] == ["SIGNER_REPLAY", "signed"]


def test_forgets_nothing_at_once_because_its_clock_jumps(desk: Desk) -> None:
    assert desk.spend() == "signed"
    desk.now += 400 * DAY
    shorten(desk)
    assert "spend" in events(desk)


def test_pays_nothing_while_a_longer_window_reaches_back_to_what_it_forgot(desk: Desk) -> None:
    assert desk.spend() == "signed"
    later(desk, 9)
    new, members = succession(desk, limits={"window_s": 20 * DAY})
    ordered = messages.order("signer.registry", expires=time_text(desk.in_hours(1)), **members)
    desk.restart(registry=new, order=requests.order(ordered))
    assert desk.health["state"] == "ready"
    assert desk.spend() == "SIGNER_WINDOW_FULL"
    desk.now += 20 * DAY
    assert desk.spend() == "signed"


def test_knows_a_copied_passkey_by_counts_that_it_forgot(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    Counting(monkeypatch, 5, 7, -COUNTED, 8, 6, 7, 9)
    assert desk.spend() == "signed"
    desk.now += DAY
    assert desk.spend() == "signed"
    later(desk, 9)
    assert "spend" not in events(desk)
    assert [desk.spend(), desk.spend()] == ["SIGNER_COUNTER", "signed"]
    later(desk, 9)
    assert [desk.spend() for _ in range(3)] == ["SIGNER_COUNTER", "SIGNER_COUNTER", "signed"]


# The lane.


def test_counts_what_its_lane_signed_until_it_is_final_however_old(tmp_path: Path) -> None:
    desk = seasoned_desk(tmp_path)
    reference = uuid4()
    assert pay(desk, reference=reference) == "signed"
    later(desk, 30)
    desk.restart()
    assert desk.health["lanes"]["hot"]["outstanding"] == "1002000"
    attest(desk)
    assert pay(desk, reference=reference) == "SIGNER_REPLAY"
    spent = outstanding(desk)
    desk.now += 1
    assert attest(desk, spent=spent) == "attested"
    shorten(desk, 3)
    desk.restart()
    lane = desk.health["lanes"]["hot"]
    assert (lane["outstanding"], lane["used"]) == ("0", "1002000")
    later(desk, 9)
    assert {"spend", "final"}.isdisjoint(events(desk))
    attest(desk)
    assert pay(desk, reference=reference) == "SIGNER_REPLAY"
    assert pay(desk) == "signed"


def test_knows_customers_and_their_destinations_for_good(tmp_path: Path) -> None:
    desk = seasoned_desk(tmp_path)
    later(desk, 400)
    desk.restart()
    attest(desk)
    assert pay(desk) == "signed"
    assert desk.ask(Customer().beneficiary())["new"] is False


# Its log.


def test_shows_its_whole_log_and_proves_any_beginning_of_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(merkle, "BLOCK_LEVEL", 2)
    monkeypatch.setattr(merkle, "BLOCK", 4)
    desk = Desk(tmp_path / "state", registry=hot_registry(witnesses=section()))
    watchers, heads = [Watcher(name) for name in WATCHERS], list[tuple[int, bytes]]()
    for turn in range(8):
        assert desk.ask(cosigned(desk, *watchers[: 2 + (turn == 7)], at=desk.now))["open"] is True
        assert desk.spend() == "signed"
        tree = desk.journal.tree
        heads.append((tree.size, tree.root(tree.size)))
        desk.now += DAY
        shorten(desk)
        if turn % 3 == 2:
            desk.restart()
    # An outsider reads it from its first line, over the socket as well as from the files.
    lines = list[str]()
    while len(lines) < desk.journal.lines:
        asked = {"v": 1, "type": "log_entries", "start": len(lines), "end": desk.journal.lines}
        found = desk.ask(asked)["lines"]
        assert found
        lines += found
    assert "\n".join(lines) + "\n" == "".join(path.read_text() for path in pieces(desk))
    previous = "0" * 64
    for line in lines:
        assert json.loads(line)["prev"] == previous
        previous = hashlib.sha256(line.encode()).hexdigest()
    hashes = [merkle.leaf(line.encode()) for line in lines]
    for size, root in heads:
        assert root == merkle.root(hashes[:size])
        answer = desk.ask({"v": 1, "type": "log_proof", "old": size, "size": len(lines)})
        proof = [bytes.fromhex(item) for item in answer["hashes"]]
        assert proof == merkle.consistency_proof(hashes, size)


def test_proves_nothing_by_older_files_that_were_touched_and_signs_all_the_same(
    desk: Desk, monkeypatch: Any
) -> None:
    monkeypatch.setattr(merkle, "BLOCK_LEVEL", 2)
    monkeypatch.setattr(merkle, "BLOCK", 4)
    shorten(desk, 3)
    old, size = pieces(desk)[0], desk.journal.lines
    asked = {"v": 1, "type": "log_proof", "old": 2, "size": size}
    first = {"v": 1, "type": "log_entries", "start": 0, "end": size}
    whole = old.read_bytes()
    old.write_bytes(whole.replace(b"a test", b"a tEst", 1))
    assert desk.code(asked) == "SIGNER_STORE_DAMAGED"
    old.unlink()
    desk.restart()
    assert [desk.code(asked), desk.code(first)] == ["SIGNER_BAD_REQUEST"] * 2
    assert desk.spend() == "signed"
    old.write_bytes(whole)
    assert desk.code(asked) == "log_proof"
    assert "\n".join(desk.ask(first)["lines"][:6]) + "\n" == whole.decode()


# Rollback.


def put(name: str, data: bytes) -> Any:
    return lambda files, now: {**now, name: data}


def of(files: dict[str, bytes], start: str) -> str:
    return next(name for name in files if name.startswith(start))


def old_state_under_the_new_name(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    return {**new, of(new, "checkpoint"): old[of(old, "checkpoint")]}


def without_the_state(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in new.items() if not name.startswith("checkpoint")}


def state_cut_short(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    name = of(new, "checkpoint")
    return {**new, name: b"".join(new[name].splitlines(keepends=True)[:-1])}


def state_without_a_spend(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    name = of(new, "checkpoint")
    left = [line for line in new[name].splitlines(keepends=True) if b'"spend"' not in line]
    return {**new, name: b"".join(left)}


def state_edited_and_named_anew(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    """The line names it as well, but for its MAC."""
    edited = state_without_a_spend(old, new)
    state = edited.pop(of(new, "checkpoint"))
    before = hashlib.sha256(new[of(new, "checkpoint")]).hexdigest()
    after = hashlib.sha256(state).hexdigest()
    edited[f"checkpoint-{after[:16]}.jsonl"] = state
    edited["journal.jsonl"] = new["journal.jsonl"].replace(before.encode(), after.encode())
    return edited


def all_of_before(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    return old


def old_file_and_old_state(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    names = ("journal.jsonl", of(old, "checkpoint"))
    return {**new, **{name: old[name] for name in names}}


def the_file_before(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    older = [name for name in new if name.startswith("journal-")]
    last = max(older, key=lambda name: int(name.split("-")[1]))
    return {**new, **old, "journal.jsonl": new[last]}


def new_lines_behind_the_old_file(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    return {**new, **old, "journal.jsonl": old["journal.jsonl"] + new["journal.jsonl"]}


def both_files_in_one(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    found = the_file_before(old, new)
    return {**found, "journal.jsonl": found["journal.jsonl"] + new["journal.jsonl"]}


def no_file(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in new.items() if name != "journal.jsonl"}


def without_the_checkpoint(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
    return {**new, "journal.jsonl": b"".join(new["journal.jsonl"].splitlines(keepends=True)[1:])}


DAMAGED, RESTORED, LOST = "SIGNER_STORE_DAMAGED", "SIGNER_STORE_RESTORED", "SIGNER_STORE_LOST"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (old_state_under_the_new_name, DAMAGED),
        (without_the_state, DAMAGED),
        (state_cut_short, DAMAGED),
        (state_without_a_spend, DAMAGED),
        (state_edited_and_named_anew, DAMAGED),
        (all_of_before, RESTORED),
        (old_file_and_old_state, RESTORED),
        (the_file_before, RESTORED),
        (new_lines_behind_the_old_file, DAMAGED),
        (both_files_in_one, DAMAGED),
        (no_file, LOST),
        (without_the_checkpoint, DAMAGED),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_signs_nothing_once_its_files_are_not_those_it_left(desk: Desk, change: Any, expected: str) -> None:
    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in desk.state.glob("*.jsonl")}

    assert desk.spend() == "signed"
    shorten(desk)
    old = files()
    paid = withdrawal(expires=desk.in_hours(24 * 7))
    assert desk.spend(intent=paid) == "signed"
    shorten(desk)
    assert desk.spend() == "signed"
    desk.journal.close()
    new = files()
    for path in desk.state.glob("*.jsonl"):
        path.unlink()
    for name, data in change(old, new).items():
        (desk.state / name).write_bytes(data)
    desk.signer = desk._start()
    for _ in range(2):
        assert desk.health["state"] == expected
        assert desk.spend(intent=paid) == expected
        desk.restart()
    # Officers reopen it, as before, and what it may have forgotten stays refused.
    assert Orders(desk).reopen(ANA, [BEN, CY]) == "obeyed"
    assert desk.let_go() == "obeyed"
    shorten(desk, 2)
    assert desk.spend(intent=paid) in {"SIGNER_INTENT_BEFORE_REOPENING", "SIGNER_REPLAY"}
    assert desk.restart().health["state"] == "ready"


def test_takes_no_state_and_file_of_another_signer(tmp_path: Path) -> None:
    class Other(SoftToken):
        def secret(self) -> bytes:
            return b"\x06" * 32

    mine, other = Desk(tmp_path / "mine"), Desk(tmp_path / "other", token=Other("hot-2"))
    for desk in (mine, other):
        assert desk.spend() == "signed"
        shorten(desk)
        desk.journal.close()
    for path in mine.state.glob("*.jsonl"):
        path.unlink()
    for path in other.state.glob("*.jsonl"):
        (mine.state / path.name).write_bytes(path.read_bytes())
    mine.signer = mine._start()
    assert mine.spend() == DAMAGED


def test_knows_a_token_that_was_put_back_to_before_its_file(desk: Desk) -> None:
    """Nothing would be forgotten by it; but it was never so, and is refused as it always was."""
    anchor = desk.token.anchor
    for _ in range(2):
        assert desk.spend() == "signed"
        shorten(desk)
    desk.token.anchor = anchor
    assert desk.restart().spend() == RESTORED


def test_is_held_by_one_process_also_while_it_begins_a_new_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(desk)
    with pytest.raises(MemoryInUse):
        Journal(desk.state, SoftToken())
    # Another opened the old file just before, and holds what is not the journal any more.
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        desk.file.rename(desk.state / "older")
        desk.file.touch()
        real(descriptor, how)

    desk.journal.close()
    monkeypatch.setattr("custody.signer.disk.fcntl.flock", flock)
    with pytest.raises(MemoryInUse):
        Journal(desk.state, SoftToken())


def test_is_no_stranger_to_what_it_was_sent_before(desk: Desk) -> None:
    asked: Message = messages.request(desk.registry, [withdrawal(expires=desk.in_hours(24))])
    assert desk.code(asked) == "signed"
    shorten(desk, 2)
    assert desk.code(asked) == "signed"
    assert desk.health["used"] == {"hot": "25002000"}


# While it does so, others have their turn.


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
