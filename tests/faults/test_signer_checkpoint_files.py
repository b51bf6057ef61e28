"""A signer that left older files of its journal behind …"""

from __future__ import annotations

import fcntl
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from core.audit.programs import lines as outside
from core.audit.programs.words import say
from custody.signer.disk import MemoryInUse
from custody.signer.journal import Journal
from kernel import merkle
from tests.checkpoints import DAY, pieces, shorten, soon
from tests.holding import Orders
from tests.messages import withdrawal
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import ANA, BEN, CY
from tests.watchers import WATCHERS, Watcher, cosigned, section


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


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
    # The offline verifier takes the folder as it is, and says every line in words.
    reading, told = outside.Reading("test/signer/hot-1"), list[str]()
    marks = [outside.Mark(size, root, "its key signed") for size, root in heads]
    reading.read(outside.bodies(tmp_path / "state"), marks, lambda line: told.append(say(line)))
    assert (reading.tree.size, reading.tree.root()) == (len(lines), merkle.root(hashes))
    assert sum(" out of hot" in line and " signed " in line for line in told) == 8
    assert [line for line in told if "{" in line and "a test" not in line] == []


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
