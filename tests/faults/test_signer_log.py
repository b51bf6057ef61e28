"""The signer's log …"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.signer.lanes import CLOCKS_APART_S
from kernel import merkle
from kernel.merkle import Tree
from kernel.witnessed import LINES_BYTES_MAX, LINES_MAX
from tests import watchers as bystanders
from tests.messages import order, withdrawal
from tests.registries import DELAY, succession
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import Message
from tests.watchers import WATCHERS, Fork, Watcher, section


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state", registry=hot_registry(witnesses=section()))


@pytest.fixture
def watchers() -> list[Watcher]:
    return [Watcher(name) for name in WATCHERS]


def cosigned(desk: Desk, *watchers: Watcher, at: float | None = None) -> Message:
    return bystanders.cosigned(desk, *watchers, at=desk.now if at is None else at)


def span(desk: Desk, kind: str, **places: int) -> Message:
    return desk.ask({"v": 1, "type": kind, **places})


@given(st.integers(0, 70), st.data())
def test_proves_what_the_textbook_proves(size: int, data: st.DataObject) -> None:
    leaves = [merkle.leaf(bytes([number])) for number in range(size)]
    tree = Tree()
    for number in range(size):
        tree.append(bytes([number]))
    old = data.draw(st.integers(0, size))
    assert (tree.size, tree.root(old), tree.root(size)) == (
        size,
        merkle.root(leaves[:old]),
        merkle.root(leaves),
    )
    proof = tree.consistency(old, size)
    merkle.verify_consistency(proof, size=old, root=tree.root(old), new_size=size, new_root=tree.root(size))


def test_keeps_spending_shut_until_witnesses_have_seen_this_very_start(
    desk: Desk, watchers: list[Watcher]
) -> None:
    assert desk.spend() == "SIGNER_UNWITNESSED"
    assert desk.health["state"] == "SIGNER_UNWITNESSED"
    brought = cosigned(desk, *watchers[:2])
    assert desk.ask(brought)["open"] is True
    assert desk.spend() == "signed"
    # After the next start the same head is from before it, and does not open the signer again.
    assert desk.restart().ask(brought)["open"] is False
    assert desk.spend() == "SIGNER_UNWITNESSED"
    assert desk.ask(cosigned(desk, *watchers[:2]))["open"] is True
    assert desk.spend() == "signed"


def test_shuts_again_when_witnesses_have_not_seen_it_for_too_long(
    desk: Desk, watchers: list[Watcher]
) -> None:
    desk.ask(cosigned(desk, *watchers))
    desk.now += 3600
    assert desk.spend() == "signed"
    desk.now += 1
    assert desk.spend() == "SIGNER_UNWITNESSED"
    assert desk.ask(cosigned(desk, *watchers))["open"] is True
    assert desk.spend() == "signed"


def test_takes_no_word_of_too_few_or_of_strangers_or_of_yesterday(
    desk: Desk, watchers: list[Watcher]
) -> None:
    for few in (watchers[:1], [watchers[1], Watcher("stranger")], [watchers[2], watchers[2]]):
        assert desk.code(cosigned(desk, *few)) == "SIGNER_BAD_COSIGNATURE"
    for at in (desk.now - 3601, desk.now + CLOCKS_APART_S + 1):
        assert desk.code(cosigned(desk, *watchers, at=at)) == "SIGNER_BAD_COSIGNATURE"
    other = Desk(desk.state.parent / "other", registry=desk.registry, token=SoftToken("hot-2"))
    fresh = [Watcher(name) for name in WATCHERS]
    assert desk.code(cosigned(other, *fresh)) == "SIGNER_BAD_COSIGNATURE"
    for rubbish in ("", "x", "\N{EM DASH}\n"):
        assert desk.code({"v": 1, "type": "log_cosigned", "note": rubbish}) == "SIGNER_BAD_COSIGNATURE"
    assert desk.code({"v": 1, "type": "log_cosigned", "note": 7}) == "SIGNER_BAD_REQUEST"
    assert desk.spend() == "SIGNER_UNWITNESSED"
    for at in (desk.now - 3600, desk.now + CLOCKS_APART_S):
        assert desk.ask(cosigned(desk, *watchers, at=at))["open"] is True


@pytest.mark.parametrize("lines", [0, 9], ids=["a head of lines that it has", "a head of more lines"])
def test_shows_that_folder_and_token_were_put_back_together(
    desk: Desk, watchers: list[Watcher], lines: int
) -> None:
    """What neither of them can show: it is what witnesses remember."""
    desk.ask(cosigned(desk, *watchers))
    assert desk.spend() == "signed"
    backup, anchor = desk.state.parent / "backup", desk.token.anchor
    shutil.copytree(desk.state, backup)
    yesterday = cosigned(desk, *watchers)
    intent = withdrawal(expires=desk.in_hours(1))
    assert desk.spend(intent) == "signed"
    for _ in range(lines):
        desk.signer.remember("started", {"nonce": "a test"})
    today = cosigned(desk, *watchers)
    desk.journal.close()
    shutil.rmtree(desk.state)
    shutil.copytree(backup, desk.state)
    desk.token.anchor = anchor
    desk.signer = desk._start()
    # Nothing is wrong in itself, yet nothing is signed: no witness cosigns this start, and old words are old.
    assert desk.health["state"] == "SIGNER_UNWITNESSED"
    with pytest.raises(Fork):
        cosigned(desk, *watchers)
    assert desk.ask(yesterday)["open"] is False
    assert desk.spend(intent) == "SIGNER_UNWITNESSED"
    # And once it is shown what they saw, it knows, and keeps it.
    assert desk.code(today) == "SIGNER_LOG_FORKED"
    assert desk.restart().spend(intent) == "SIGNER_LOG_FORKED"
    assert desk.health["state"] == "SIGNER_LOG_FORKED"
    # Officers reopen it. The log goes on under another name, which witnesses' owners must be told.
    standing = desk.health["journal"]["standing"]
    assert desk.code(order("signer.reopen", token="hot-1", standing=standing)) == "obeyed"
    assert desk.spend(intent) == "SIGNER_UNWITNESSED"
    assert desk.code(today) == "SIGNER_BAD_COSIGNATURE"
    anew = [Watcher(name) for name in WATCHERS]
    assert desk.ask(cosigned(desk, *anew))["open"] is True
    assert desk.spend(intent) == "SIGNER_FROZEN"
    assert desk.let_go() == "obeyed"
    assert desk.spend(intent) == "SIGNER_INTENT_BEFORE_REOPENING"
    assert desk.ask({"v": 1, "type": "log_head"})["note"].startswith("countersign-test/signer/hot-1/1")


def test_begins_with_a_line_that_nobody_can_have_had_seen_before(desk: Desk) -> None:
    """Put back and started at the same moment again, it is another log: no head of one opens the other."""
    desk.journal.close()
    backup, anchor, heads = desk.state.parent / "backup", desk.token.anchor, set[str]()
    shutil.copytree(desk.state, backup)
    for _ in range(2):
        shutil.rmtree(desk.state)
        shutil.copytree(backup, desk.state)
        desk.token.anchor = anchor
        desk.signer = desk._start()
        heads.add(desk.ask({"v": 1, "type": "log_head"})["note"])
        desk.journal.close()
    assert len(heads) == 2


def test_is_to_be_seen_anew_once_officers_reopened_it(desk: Desk, watchers: list[Watcher]) -> None:
    desk.ask(cosigned(desk, *watchers))
    assert desk.spend() == "signed"
    seen = cosigned(desk, *watchers)
    standing = desk.health["journal"]["standing"]
    assert desk.code(order("signer.reopen", token="hot-1", standing=standing)) == "obeyed"
    assert desk.ask(seen)["open"] is False
    week = withdrawal(expires=desk.in_hours(24 * 7))
    assert desk.spend(week) == "SIGNER_UNWITNESSED"
    assert desk.ask(cosigned(desk, *watchers))["open"] is True
    assert desk.spend(week) == "SIGNER_INTENT_BEFORE_REOPENING"


def test_is_to_be_seen_anew_once_it_follows_another_registry(tmp_path: Path, watchers: list[Watcher]) -> None:
    watched = {"witnesses": section()}
    desk = Desk(tmp_path / "state", registry=hot_registry(limits={"registry_delay_s": DELAY}, **watched))
    new, members = succession(desk, limits={}, **watched)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    desk.now += DELAY
    desk.restart(registry=new).listen(9)
    before = cosigned(desk, *watchers)
    desk.listen(1)
    assert desk.ask(before)["open"] is False
    assert desk.spend() == "SIGNER_UNWITNESSED"
    assert desk.ask(cosigned(desk, *watchers))["open"] is True
    assert desk.spend() == "signed"


def test_does_not_grow_by_being_watched(desk: Desk, watchers: list[Watcher]) -> None:
    for _ in range(3):
        assert desk.ask(cosigned(desk, *watchers))["open"] is True
    lines = desk.journal.lines
    for _ in range(3):
        desk.ask(cosigned(desk, *watchers))
    assert desk.journal.lines == lines


def test_is_waited_for_by_the_named_tokens_only(tmp_path: Path) -> None:
    cold = hot_registry(witnesses=section(tokens=["hot-2"]))
    assert Desk(tmp_path / "state", registry=cold).spend() == "signed"


def test_holds_the_registrys_versions(desk: Desk) -> None:
    lines = span(desk, "log_entries", start=0, end=2)["lines"]
    assert all(f'"digest":"{desk.registry.digest.hex()}"' in line for line in lines)


def test_gives_lines_out_in_pieces_that_fit_into_an_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "state")
    for number in range(LINES_MAX + 20):
        desk.signer.answer({"v": 1, "type": "nothing"}, f"{number}")
    found: list[str] = []
    pieces = 0
    while len(found) < desk.journal.lines:
        lines = span(desk, "log_entries", start=len(found), end=desk.journal.lines)["lines"]
        assert 0 < len(lines) <= LINES_MAX
        assert sum(map(len, lines)) <= LINES_BYTES_MAX
        found, pieces = found + lines, pieces + 1
    assert "\n".join(found) + "\n" == desk.file.read_text()
    assert pieces > 1
    assert desk.restart().journal.tree.root(len(found)) == merkle.root(
        merkle.leaf(line.encode()) for line in found
    )


@pytest.mark.parametrize("places", [(-1, 1), (2, 1), (0, 10**6), (0, "1"), (None, 1)])
def test_knows_no_other_places(desk: Desk, places: tuple[int, int]) -> None:
    low, high = places
    assert span(desk, "log_proof", old=low, size=high)["code"] == "SIGNER_BAD_REQUEST"
    assert span(desk, "log_entries", start=low, end=high)["code"] == "SIGNER_BAD_REQUEST"


def test_says_once_a_minute_whether_the_token_still_signs(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "state")
    assert desk.health["state"] == "ready"
    desk.token.broken = True
    assert desk.health["state"] == "ready"
    desk.now += 61
    assert desk.health["state"] == "SIGNER_TOKEN_FAILED"
