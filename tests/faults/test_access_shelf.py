"""The shelf on which desks keep what the edge said …"""

from __future__ import annotations

import hashlib
import threading

import pytest
from django.core import signing

from core.access import postures
from core.access.adapters.identities import AGAIN_S, FRESH_S, Denied, Desk
from core.access.adapters.shelf import Shelf
from core.access.probes import edge_devices
from tests import doors
from tests.cast import NOW
from tests.doors import Clock
from tests.edges import Endpoint, device, pair, raises


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(endpoint: Endpoint, clock: Clock) -> Desk:
    return Desk(endpoint, shelf=doors.shelf(), clock=clock, timeout_s=90)


def test_keeps_no_answers_that_serve_no_longer(desk: Desk) -> None:
    device(desk)
    shelf = desk._shelf
    (name,) = shelf._redis.scan_iter(shelf._name("answer", "*"))
    assert 0 < shelf._redis.ttl(name) <= FRESH_S


def test_says_the_same_in_every_process_and_one_of_them_asks(endpoint: Endpoint, clock: Clock) -> None:
    here, there = pair(endpoint, clock)
    assert device(here) == "laptop-1"
    endpoint.device = "laptop-2"
    assert device(there) == "laptop-1"
    clock.moment += AGAIN_S
    assert device(there, within_s=0) == "laptop-2"
    assert device(here) == "laptop-2", "neither believes another answer than the other"
    assert endpoint.calls == 2
    endpoint.fault = raises(Denied("status 401"))
    clock.moment += AGAIN_S
    assert device(here, within_s=0) is None
    assert device(there) is None
    assert endpoint.calls == 3


def test_waits_for_the_process_that_asks_already(
    endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair(endpoint, clock)
    gate, found = threading.Event(), list[str | None]()
    waits, is_asked = threading.Event(), Shelf.is_asked

    def noted(shelf: Shelf, key: str) -> bool:
        waits.set()
        return is_asked(shelf, key)

    monkeypatch.setattr(Shelf, "is_asked", noted)

    def slow() -> bytes:
        gate.wait(120)
        endpoint.fault, endpoint.calls = None, 0
        return endpoint("t")

    endpoint.fault = slow
    threads = [threading.Thread(target=lambda d=desk: found.append(device(d))) for desk in (here, there)]
    for thread in threads:
        thread.start()
    assert waits.wait(60)  # one asks, and the other has seen that
    gate.set()
    for thread in threads:
        thread.join(60)
    assert (found, endpoint.calls) == (["laptop-1", "laptop-1"], 1)


def test_leaves_an_edge_alone_that_failed_before_another_process(endpoint: Endpoint, clock: Clock) -> None:
    here, there = pair(endpoint, clock)
    endpoint.fault = raises(OSError("refused"))
    assert (device(here), device(there, "another token"), endpoint.calls) == (None, None, 1)
    clock.moment += AGAIN_S
    assert (device(there, "another token"), endpoint.calls) == (None, 2)


def test_serves_nothing_from_before_a_session_ended(desk: Desk, endpoint: Endpoint, clock: Clock) -> None:
    device(desk)
    clock.moment += 1
    endpoint.device = "laptop-2"
    assert device(desk, since=clock.moment - 2) == "laptop-1"
    assert device(desk, since=clock.moment - 0.5) == "laptop-2"
    endpoint.fault = raises(OSError("refused"))
    clock.moment += 1
    assert device(desk, since=clock.moment - 0.5) is None, "nor while the edge is away"


def test_is_away_with_redis_and_each_process_goes_by_what_it_heard(
    endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Desk(endpoint, shelf=Shelf("unix:///nowhere/redis.sock", apart="x"), clock=clock, timeout_s=90)
    assert [device(away) for _ in range(20)] == ["laptop-1"] * 20
    assert endpoint.calls == 1, "as seldom as with a shelf"
    monkeypatch.setattr(postures, "desk", lambda _: away)
    said = edge_devices(NOW)
    assert (said.status, said.facts["last_error"]) == ("degraded", "Redis: ConnectionError")
    clock.moment += AGAIN_S
    assert device(away, since=clock.moment - 1) == "laptop-1"
    assert endpoint.calls == 2, "nothing from before a session ended"
    endpoint.fault = raises(OSError("refused"))
    clock.moment += AGAIN_S
    assert [device(away, f"token {n}") for n in range(20)] == [None] * 20
    assert endpoint.calls == 3, "an edge that fails is left alone"
    clock.moment += FRESH_S
    assert device(away) is None, "what is too old serves no more than with a shelf"
    assert edge_devices(NOW).status == "down"
    endpoint.fault = raises(Denied("status 401"))
    clock.moment += AGAIN_S
    assert device(away) is None


def test_that_goes_away_leaves_a_process_what_it_read_there_last(endpoint: Endpoint, clock: Clock) -> None:
    here, there = pair(endpoint, clock)
    assert device(here) == "laptop-1"
    clock.moment += AGAIN_S
    endpoint.fault = raises(Denied("status 401"))
    assert device(there, within_s=0) is None
    assert device(here) is None, "it has read what the other heard"
    here._shelf = Shelf("unix:///nowhere/redis.sock", apart="x")
    assert (device(here), endpoint.calls) == (None, 2), "and so believes nothing older, and need not ask"


def test_believes_no_entry_that_somebody_else_put_on_the_shelf(
    desk: Desk, endpoint: Endpoint, clock: Clock
) -> None:
    device(desk)
    shelf, key = desk._shelf, hashlib.sha256(b"t").hexdigest()
    name = shelf._name("answer", key)
    entry = shelf._redis.get(name)
    forged = [b"{}", entry[:-1] + b"x", signing.Signer(salt="other").sign_object({"at": clock.moment})]
    for each in forged:
        shelf._redis.set(name, each)
        endpoint.calls, endpoint.device = 0, "laptop-2"
        clock.moment += AGAIN_S
        assert (device(desk), endpoint.calls) == ("laptop-2", 1)
    # One that is ours, of another token or long ago, is none of this token now.
    shelf._redis.set(shelf._name("answer", hashlib.sha256(b"u").hexdigest()), entry)
    clock.moment += AGAIN_S
    assert (device(desk, "u"), endpoint.calls) == ("laptop-2", 2)
    clock.moment += FRESH_S
    shelf._redis.set(name, entry)
    endpoint.fault = raises(OSError("refused"))
    assert device(desk) is None
