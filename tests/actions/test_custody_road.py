"""The reconciler's own road to the signers …"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from custody.adapters import signer_client
from custody.adapters.signer_client import SignerUnreachable
from custody.daemons.road import Road
from tests.lane import Scene
from tests.reconciling import Chain, look, reconciled

EVERY = timedelta(seconds=40)


def told(scene: Scene) -> list[str]:
    """The signers that were brought somebody's word, since it was asked last."""
    found = sorted(token for token, message in scene.signers.asked if message["type"] == "attest")
    scene.signers.asked.clear()
    return found


@pytest.mark.django_db
def test_shuts_the_lane_though_the_worker_carries_nothing(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    road = Road(settings.SIGNERS_DIR)
    alone = reconciled(scene, chain, monkeypatch, road=road)

    def unasked(*, after: timedelta) -> list[str]:
        scene.treasury.now += after
        scene.signers.at(scene.treasury.now)
        alone.look_unasked(every=EVERY)
        road.wait()
        return told(scene)

    told(scene)
    assert unasked(after=EVERY) == []  # good word goes by the worker alone
    assert look(scene).agrees
    told(scene)
    chain.stolen = 1
    assert unasked(after=EVERY / 2) == []  # somebody asked lately
    with scene.signers.down("hot-2"):
        assert unasked(after=EVERY / 2) == ["hot-1", "hot-3"]
    chain.ahead = 1  # there is no new word now, and the last one still counts
    assert unasked(after=timedelta(seconds=5)) == ["hot-2"]
    assert unasked(after=timedelta(seconds=5)) == []
    scene.fresh_price()
    assert "SIGNER_BOOKS_BROKEN" in scene.withdraw().reason

    chain.stolen, chain.ahead = 0, 0
    assert look(scene).agrees
    assert {desk.health["lanes"]["hot"]["broken"] for desk in scene.signers.desks.values()} == {False}
    chain.stolen = 1
    look_again = alone.answer({"v": 1, "type": "reconcile", "wallet": "hot"}, 0)
    road.wait()
    assert look_again["type"] == "reconciled"  # in the second of the good word still, and nobody carries it
    assert {desk.health["lanes"]["hot"]["broken"] for desk in scene.signers.desks.values()} == {True}


def test_waits_for_no_signer_and_brings_each_the_newest_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hangs, came = threading.Event(), threading.Event()
    brought: list[tuple[str, object]] = []

    def attest(folder: Path, token: str, message: Any) -> None:
        came.set()
        if token == "hot-2" and message["n"] == 1:
            hangs.wait()
            raise SignerUnreachable("hot-2: timed out")
        brought.append((token, message["n"]))

    monkeypatch.setattr(signer_client, "attest", attest)
    road = Road(tmp_path)
    road.say("hot", ["hot-2"], {"n": 1})
    came.wait()
    for number in (2, 3):
        road.say("hot", ["hot-2"], {"n": number})
    road.say("other", ["hot-1"], {"n": 4})
    hangs.set()
    road.wait()
    assert brought == [("hot-1", 4)]
    road.go()
    road.wait()
    assert brought == [("hot-1", 4), ("hot-2", 3)]
    road.go()
    road.wait()
    assert len(brought) == 2


def test_has_nothing_to_bring_once_all_agrees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    road, asked = Road(tmp_path), list[str]()
    note: Callable[..., None] = lambda folder, token, word: asked.append(token)  # noqa: E731
    road.say("hot", ["hot-1"], {"n": 1})  # nobody listens there
    road.wait()
    road.say("hot", ["hot-1"], None)
    monkeypatch.setattr(signer_client, "attest", note)
    road.go()
    road.wait()
    assert asked == []
