"""What the reconciler cannot look at …"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import OperationalError, connection

from custody import queries
from custody.adapters.reconciler_client import NothingReconciled, reconcile
from custody.daemons import reconciler
from custody.daemons.road import Road
from custody.daemons.sight import PATIENCE, Sight
from custody.daemons.voice import Overtaken, Voice
from kernel import encodings
from kernel.lane import Attestation
from tests.lane import Scene
from tests.reconciling import Chain, look, reconciled
from tests.roles import as_role
from tests.treasury import registry

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def alone(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> reconciler.Reconciler:
    """The one in its socket's place, with a road of its own."""
    return reconciled(scene, chain, monkeypatch, road=Road(settings.SIGNERS_DIR))


def pass_by(scene: Scene, span: timedelta) -> None:
    scene.treasury.now += span
    scene.signers.at(scene.treasury.now)
    scene.fresh_price()


def broken(scene: Scene) -> set[bool]:
    """What signers say of the lane."""
    return {bool(desk.health["lanes"]["hot"]["broken"]) for desk in scene.signers.desks.values()}


@pytest.mark.django_db
def test_shuts_the_lane_whoever_wrote_a_block_that_no_node_has(
    scene: Scene, chain: Chain, alone: reconciler.Reconciler, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Else coins and deposits are compared with nothing for as long as signers take the last good word."""
    assert look(scene).agrees
    at = chain.chain()
    with monkeypatch.context() as node:
        node.setattr(chain, "chain", lambda: at)
        node.setattr(chain, "block_hash", lambda height: None)
        with as_role("cs_worker"), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO custody_block VALUES (%s, %s, %s, now())", [at.height + 1, "ab" * 32, at.tip]
            )
        pass_by(scene, PATIENCE)
        with pytest.raises(NothingReconciled, match=r"the books stand on abab.* where the node has no block"):
            reconcile(settings.RECONCILER_SOCKET, "hot")
        alone.watch()
        assert scene.withdraw().state == "broadcast"  # so long at the most

        pass_by(scene, SECOND)
        alone.watch()
        assert alone._road is not None
        alone._road.wait()
        assert "SIGNER_BOOKS_BROKEN" in scene.withdraw().reason
        (said,) = look(scene).breaks
        assert said.startswith("Could not look at hot for 121 s: the node and the books do not stand at")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM custody_block WHERE height > %s", [at.height])
    pass_by(scene, SECOND)
    assert look(scene).agrees
    assert broken(scene) == {False}


@pytest.mark.django_db
def test_is_said_though_the_look_hangs_and_whatever_it_stumbles_over(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def hang() -> list[str]:
        pass_by(scene, PATIENCE + SECOND)
        alone.watch()
        return []

    road = Road(settings.SIGNERS_DIR)
    alone = reconciled(scene, chain, monkeypatch, road=road, venue=hang)
    scene.signers.asked.clear()
    assert look(scene).breaks == [
        "Could not look at hot for 121 s: that nobody could look was said meanwhile."
    ]
    road.wait()
    assert broken(scene) == {True}

    def locked(*_: object, **__: object) -> None:
        raise OperationalError("canceling statement due to lock timeout\nLINE 1: SELECT")

    monkeypatch.setattr(queries, "books_of", locked)
    for error in (locked, lambda *_, **__: {}["what a row lacks"]):
        monkeypatch.setattr(queries, "books_of", error)
        pass_by(scene, SECOND)
        said = look(scene).breaks[0]
        assert said.endswith(": canceling statement due to lock timeout.") == (error is locked)


def test_is_a_break_once_it_lasts_and_ends_with_a_whole_look() -> None:
    sight = Sight(["hot"], now=AT)
    late = AT + PATIENCE + SECOND
    assert sight.blind("hot", now=AT + PATIENCE, again=True) is None
    told = sight.blind("hot", now=late, again=False)
    assert told is not None
    assert told.sentence == "Could not look at hot for 121 s: the last look has not come back."
    assert sight.blind("hot", now=late, again=False) is None
    sight.missed("hot", "the engine is away.")
    again = sight.blind("hot", now=late, again=True)
    assert again == replace(told, sentence="Could not look at hot for 121 s: the engine is away.")
    sight.compared("hot", began=late, height=7, units=5)
    assert sight.blind("hot", now=late + PATIENCE, again=True) is None
    assert sight.blind("hot", now=AT - SECOND, again=True) is not None  # the clock had been far ahead
    for_long = sight.blind("hot", now=late + 2 * PATIENCE, again=False)
    assert for_long is None or (for_long.height, for_long.units) == (7, 5)


def test_is_told_by_word_that_is_as_old_as_the_look() -> None:
    voice = Voice(key=Ed25519PrivateKey.from_private_bytes(bytes(32)), registry=registry(), road=None)

    def say(began: datetime, now: datetime, *unsound: str) -> datetime:
        word = voice.say("hot", began=began, now=now, height=1, on_chain=5, in_books=5, unsound=list(unsound))
        return Attestation.parse(encodings.from_base64url(str(word["payload"]))).time

    minute = timedelta(minutes=1)
    assert say(AT, AT + minute) == AT
    assert say(AT, AT + minute, "wrong") == AT + minute
    with pytest.raises(Overtaken):
        say(AT + minute / 2, AT + minute)
    assert say(AT + minute + SECOND, AT + 2 * minute) == AT + minute + SECOND
    assert say(AT, AT + minute + SECOND, "wrong") == AT + minute + 2 * SECOND
    assert say(AT - minute, AT) == AT - minute  # the clock went back: signers judge
