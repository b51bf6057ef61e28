"""An officer's suspension at a signer …"""

from __future__ import annotations

from pathlib import Path

import pytest

from custody.signer import requests
from custody.signer.refusals import Refused
from kernel.approval import Verb
from tests.holding import ALL, EVE, Orders, five
from tests.messages import order, withdrawal
from tests.softtoken import Desk, hot_registry
from tests.vault import ANA, BEN, CY, DOT, KEYS, Message


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return five(tmp_path / "state", monkeypatch)


@pytest.fixture
def orders(desk: Desk) -> Orders:
    return Orders(desk)


def spend(desk: Desk, *officers: str) -> str:
    return desk.spend(intent=withdrawal(expires=desk.in_hours(1)), officers=list(officers))


def test_is_one_officers_word_and_makes_theirs_count_for_nothing(desk: Desk, orders: Orders) -> None:
    """Whatever they sign, and have signed before: a thief has the passkey, and the web tier knows nothing."""
    kept = withdrawal(expires=desk.in_hours(1))
    assert orders.suspend(CY, BEN) == "obeyed"
    for _ in range(2):
        assert desk.spend(intent=kept, officers=[BEN, CY]) == "SIGNER_OFFICER_SUSPENDED"
        assert orders.release("hot", BEN, [CY, DOT]) == "SIGNER_OFFICER_SUSPENDED"
        assert orders.release("hot", CY, [BEN, DOT, EVE]) == "SIGNER_OFFICER_SUSPENDED"
        for stop in ("hot", "*", f"officer:{CY}"):
            assert orders.freeze(BEN, stop) == "SIGNER_OFFICER_SUSPENDED"
        veto = order("signer.veto", officers=[BEN], verb=Verb.APPROVE, digest="ab" * 32)
        assert desk.code(veto) == "SIGNER_OFFICER_SUSPENDED"
        assert spend(desk, CY, DOT) == "signed"
        assert desk.health["frozen"] == {f"officer:{BEN}": "a test"}
        assert desk.health["state"] == "ready"
        desk.restart()


def test_ends_by_a_quorum_of_others_alone(desk: Desk, orders: Orders) -> None:
    assert orders.suspend(CY, BEN) == "obeyed"
    assert desk.health["uncounted"] == {f"officer:{BEN}": sorted([BEN, CY])}
    for asker, officers in ((ANA, [BEN, DOT]), (ANA, [CY, DOT]), (ANA, [DOT]), (BEN, [CY, DOT])):
        assert orders.restore(BEN, asker, officers) == "SIGNER_BELOW_QUORUM"
    assert spend(desk, BEN, DOT) == "SIGNER_OFFICER_SUSPENDED"
    # Whoever ordered it may ask, and so may who is suspended: that decides nothing.
    assert orders.restore(BEN, CY, [ANA, EVE]) == "obeyed"
    assert spend(desk.restart(), BEN, DOT) == "signed"


def test_silences_nobody_else_for_whoever_orders_it(desk: Desk, orders: Orders) -> None:
    """A rogue officer holds back one other, who comes back without them, and is held back themselves."""
    assert orders.suspend(EVE, CY) == "obeyed"
    for other in (ANA, BEN, DOT):
        assert orders.suspend(EVE, other) == "SIGNER_SUSPENDS_ANOTHER"
    assert orders.suspend(EVE, CY) == "obeyed"
    assert orders.freeze(EVE, "hot/lane") == "obeyed", "but all else they stop as ever"
    assert orders.suspend(DOT, EVE) == "obeyed"
    assert orders.suspend(EVE, BEN) == "SIGNER_OFFICER_SUSPENDED"
    assert orders.restore(CY, BEN, [ANA, DOT]) == "obeyed"
    assert spend(desk, CY, BEN) == "signed"
    assert spend(desk, EVE, BEN) == "SIGNER_OFFICER_SUSPENDED"


def test_locks_nobody_out_where_officers_are_few(tmp_path: Path) -> None:
    """Four officers, of whom one is rogue and Ana cannot ask: without her word it would take the rogue's."""
    teams = {**{one: ALL[one] for one in KEYS}, ANA: ["treasury"], CY: ["treasury"]}
    desk = Desk(tmp_path / "four", registry=hot_registry(teams=teams))
    orders = Orders(desk)
    assert orders.suspend(DOT, ANA) == "obeyed"
    assert desk.health["uncounted"] == {f"officer:{ANA}": [DOT]}
    assert orders.restore(ANA, BEN, [CY, DOT]) == "SIGNER_BELOW_QUORUM"
    assert orders.restore(ANA, BEN, [CY, ANA]) == "obeyed"


def test_is_of_an_officer_whom_the_signer_knows(desk: Desk, orders: Orders) -> None:
    stranger = "01900000-0000-7000-8000-0000000000ff"
    for name in (f"officer:{stranger}", "officer:", "officer:*", BEN):
        assert orders.freeze(CY, name) == "SIGNER_UNKNOWN_WALLET"


def test_keeps_their_word_from_the_next_registry_too(desk: Desk, orders: Orders) -> None:
    """A thief announces no registry either, neither to a running signer nor at its next start."""
    assert orders.suspend(CY, BEN) == "obeyed"
    following: Message = {"version": 2, "digest": "ab" * 32, "keys": list(desk.registry.keys)}
    announced = order("signer.registry", maker=ANA, officers=[BEN, DOT], **following)
    assert desk.code(announced) == "SIGNER_OFFICER_SUSPENDED"
    new = hot_registry(teams=ALL, version=2)
    given = {"version": 2, "digest": new.digest.hex(), "keys": list(new.keys)}
    at_start = requests.order(order("signer.registry", maker=ANA, officers=[BEN, DOT], **given))
    with pytest.raises(Refused, match="is suspended"):
        desk.restart(registry=new, order=at_start)
