"""A signer that officers reopened …"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.approval import Verb
from kernel.intent import time_text
from tests.holding import ALL, EVE, Orders, five
from tests.messages import order, withdrawal
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import ANA, BEN, CY, DOT


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return five(tmp_path / "state", monkeypatch)


@pytest.fixture
def orders(desk: Desk) -> Orders:
    desk.now += 3_600
    assert desk.spend(intent=withdrawal(expires=desk.in_hours(1))) == "signed"
    return Orders(desk)


def pays(desk: Desk) -> str:
    """What it says to a payment that nobody can have approved before the reopening."""
    return desk.spend(intent=withdrawal(expires=desk.in_hours(24 * 7)), officers=[BEN, DOT])


def put_back(desk: Desk, backup: bytes) -> None:
    desk.file.write_bytes(backup)
    desk.restart()


def unlinked(desk: Desk, backup: bytes) -> None:
    desk.journal.close()
    desk.file.unlink()
    desk.signer = desk._start()


def another_token(desk: Desk, backup: bytes) -> None:
    desk.restart(token=SoftToken())


@pytest.mark.parametrize("lose", [put_back, unlinked, another_token])
def test_holds_everything_where_lines_were_lost(
    desk: Desk, orders: Orders, lose: Callable[[Desk, bytes], None]
) -> None:
    """No line says any more what was frozen, or who was suspended: so nobody gets that off by losing it."""
    in_a_day = time_text(desk.in_hours(24))
    kept = order("signer.release", wallet="*", officers=[BEN, DOT], expires=in_a_day)
    backup = desk.file.read_bytes()
    assert [orders.freeze(BEN, "hot"), orders.suspend(BEN, CY)] == ["obeyed"] * 2
    lose(desk, backup)
    desk.now += 60
    assert orders.reopen(ANA, [BEN, DOT], reason="a new disk") == "obeyed"
    for _ in range(2):
        assert desk.health["frozen"] == {"*": "lines were lost, and Ana asked to reopen it: a new disk"}
        assert desk.health["uncounted"] == {"*": []}  # that she did is no freeze of hers
        assert pays(desk) == "SIGNER_FROZEN"
        desk.restart()
    # What must stand still is frozen again by one officer each, before a quorum lets the rest go.
    assert [orders.freeze(BEN, "hot"), orders.suspend(BEN, CY)] == ["obeyed"] * 2
    desk.now += 121
    assert desk.code(kept) == "SIGNER_INTENT_BEFORE_REOPENING"
    assert orders.release("*", ANA, [BEN, CY]) == "SIGNER_OFFICER_SUSPENDED"
    assert orders.release("*", ANA, [BEN]) == "SIGNER_BELOW_QUORUM"
    assert orders.release("*", ANA, [BEN, DOT]) == "obeyed"
    assert desk.restart().health["frozen"].keys() == {"hot", f"officer:{CY}"}
    assert pays(desk) == "SIGNER_FROZEN"
    assert orders.release("hot", ANA, [DOT, EVE]) == "obeyed"
    desk.now += 3_600
    assert pays(desk) == "signed"


@pytest.mark.parametrize("lose", [put_back, unlinked, another_token])
def test_goes_on_not_hearing_whom_its_order_names(
    desk: Desk, orders: Orders, lose: Callable[[Desk, bytes], None]
) -> None:
    """A stolen passkey, whose suspension was lost, lets itself in by nothing, and helps to reopen nothing."""
    backup = desk.file.read_bytes()
    assert orders.suspend(BEN, CY) == "obeyed"
    lose(desk, backup)
    desk.now += 60
    for asker, officers in ((ANA, [BEN, CY]), (CY, [BEN, DOT])):
        assert orders.reopen(asker, officers, suspended=[CY]) == "SIGNER_OFFICER_SUSPENDED"
    assert orders.reopen(ANA, [BEN, DOT], suspended=[CY]) == "obeyed"
    desk.now += 121
    for _ in range(2):
        assert desk.health["frozen"] == {
            "*": "lines were lost, and Ana asked to reopen it: a test",
            f"officer:{CY}": "kept so when Ana asked to reopen it: a test",
        }
        assert orders.release("*", ANA, [BEN, CY]) == "SIGNER_OFFICER_SUSPENDED"
        assert orders.restore(CY, ANA, [BEN, CY]) == "SIGNER_BELOW_QUORUM"
        desk.restart()
    assert orders.release("*", ANA, [BEN, DOT]) == "obeyed"
    desk.now += 3_600
    week = withdrawal(expires=desk.in_hours(24 * 7))
    assert desk.spend(intent=week, officers=[BEN, CY]) == "SIGNER_OFFICER_SUSPENDED"
    assert orders.restore(CY, ANA, [BEN, DOT]) == "obeyed"
    assert desk.spend(intent=week, officers=[BEN, CY]) == "signed"


@pytest.mark.parametrize(
    "wrong", [{"suspended": "nobody"}, {"suspended": ["Cy"]}, {"suspended": [7]}, {"v": 1}]
)
def test_was_told_in_so_many_words_whom_not_to_hear(desk: Desk, wrong: dict[str, object]) -> None:
    about = {"token": "hot-1", "standing": desk.health["journal"]["standing"], **wrong}
    assert desk.code(order("signer.reopen", **about)) == "SIGNER_BAD_ORDER"


def test_is_not_taken_back_by_the_file_that_its_token_knew_before(desk: Desk, orders: Orders) -> None:
    """Its lines begin again, and have smaller numbers than the one that the token was told of last."""
    assert pays(desk) == "signed"
    backup = desk.file.read_bytes()
    unlinked(desk, backup)
    assert orders.reopen(ANA, [BEN, DOT]) == "obeyed"
    assert desk.restart().health["state"] == "SIGNER_FROZEN"
    put_back(desk, backup)
    assert pays(desk) == "SIGNER_STORE_RESTORED"


def test_holds_everything_until_later_than_it_was_put_back_again(desk: Desk, orders: Orders) -> None:
    """The line of the reopening itself holds it, so no crash comes between; nor does what ended it once."""
    backup = desk.file.read_bytes()
    assert pays(desk) == "signed"
    put_back(desk, backup)
    assert orders.reopen(ANA, [BEN, DOT]) == "obeyed"
    held = desk.file.read_bytes()
    desk.now += 121
    release = order("signer.release", wallet="*", expires=time_text(desk.in_hours(24)))
    assert desk.code(release) == "obeyed"
    put_back(desk, held)
    assert desk.health["state"] == "SIGNER_STORE_RESTORED"
    assert orders.reopen(ANA, [BEN, DOT]) == "obeyed"
    for _ in range(2):
        assert desk.code(release) == "SIGNER_INTENT_BEFORE_REOPENING"
        desk.now += 121
    assert pays(desk) == "SIGNER_FROZEN"


def test_still_does_not_hear_whoever_froze_everything_before(desk: Desk, orders: Orders) -> None:
    assert orders.freeze(BEN, "*") == "obeyed"
    backup = desk.file.read_bytes()
    assert orders.freeze(DOT, "hot") == "obeyed"
    put_back(desk, backup)
    assert orders.reopen(ANA, [CY, DOT]) == "obeyed"
    desk.now += 121
    assert orders.release("*", ANA, [BEN, DOT]) == "SIGNER_BELOW_QUORUM"
    assert orders.release("*", ANA, [CY, DOT]) == "obeyed"


def test_holds_what_it_held_and_no_more_where_nothing_was_lost(desk: Desk, orders: Orders) -> None:
    assert orders.suspend(BEN, CY) == "obeyed"
    assert orders.reopen(ANA, [BEN, DOT]) == "obeyed"
    assert desk.restart().health["frozen"] == {f"officer:{CY}": "a test"}
    assert pays(desk) == "SIGNER_INTENT_BEFORE_REOPENING"
    desk.now += 3_600
    assert pays(desk) == "signed"


def test_takes_up_no_registry_whose_veto_may_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announced before, vetoed in a lost line: it is announced anew, and can be vetoed anew."""
    desk = five(tmp_path / "state", monkeypatch, limits={"registry_delay_s": 86_400})
    orders, new = Orders(desk), hot_registry(teams=ALL, version=2)
    digest = new.digest.hex()
    announced = {"version": 2, "digest": digest, "keys": list(new.keys)}
    assert orders.given("signer.registry", 1, **announced) == "obeyed"
    backup = desk.file.read_bytes()
    assert orders.given("signer.veto", 1, officers=[DOT], verb=Verb.APPROVE, digest=digest) == "obeyed"
    put_back(desk, backup)
    assert orders.reopen(ANA, [BEN, DOT]) == "obeyed"
    desk.now += 86_401
    assert desk.restart(registry=new).listen().spend() == "SIGNER_REGISTRY_CHANGED"
