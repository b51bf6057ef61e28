"""The desk that asks the edge about bearers …"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.core import signing

from core.access import postures
from core.access.adapters.identities import AGAIN_S, ASKING_MAX, FRESH_S, WAITING_MAX, Denied, Desk
from core.access.adapters.pinned import BadBody, BadStatus
from core.access.adapters.shelf import Shelf
from core.access.domain.tokens import User
from core.access.probes import edge_devices
from tests import doors
from tests.cast import NOW
from tests.doors import Clock

WHO = User("7335d417-61da-459d-899c-0a01c76a2f94", "ana@countersign.example", "n", NOW, NOW)


class Endpoint:
    """get-identity, counted, with faults."""

    def __init__(self) -> None:
        self.calls = 0
        self.fault: Callable[[], bytes] | None = None
        self.device = "laptop-1"

    def __call__(self, token: str) -> bytes:
        self.calls += 1
        if self.fault:
            return self.fault()
        said = {"email": WHO.email, "user_uuid": WHO.subject, "device_id": self.device}
        return json.dumps(said).encode()


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(endpoint: Endpoint, clock: Clock) -> Desk:
    return Desk(endpoint, shelf=doors.shelf(), clock=clock, timeout_s=20)


def raises(error: Exception) -> Callable[[], bytes]:
    def fault() -> bytes:
        raise error

    return fault


OUTAGES = {
    "refused": raises(OSError("connection refused")),
    "timeout": raises(httpx.ReadTimeout("slow")),
    "500": raises(BadStatus(500)),
    "redirect": raises(BadStatus(302)),
    "oversize": raises(BadBody("long")),
    "html": lambda: b"<html>please enable cookies</html>",
}
NOS = {
    "revoked": raises(Denied("status 401")),
    "wrong user": lambda: b'{"email": "eve@countersign.example", "user_uuid": "x"}',
    "empty": lambda: b"{}",
}


def device(desk: Desk, token: str = "t", **how: Any) -> str | None:
    answer = desk.of(token, WHO, **how)
    return answer.posture.device if answer else None


def test_asks_once_in_five_minutes_for_each_token(desk: Desk, endpoint: Endpoint, clock: Clock) -> None:
    for _ in range(100):
        assert device(desk) == "laptop-1"
    assert endpoint.calls == 1
    assert device(desk, "another token") == "laptop-1"
    assert endpoint.calls == 2
    clock.moment += FRESH_S - 1
    device(desk)
    assert endpoint.calls == 2
    clock.moment += 1
    endpoint.device = "laptop-2"
    assert device(desk) == "laptop-2"
    assert endpoint.calls == 3


def test_asks_sooner_for_whoever_wants_it_fresher_but_never_within_seconds(
    desk: Desk, endpoint: Endpoint, clock: Clock
) -> None:
    device(desk)
    endpoint.device = "laptop-2"
    assert device(desk, within_s=0) == "laptop-1"
    clock.moment += AGAIN_S
    assert device(desk, within_s=60) == "laptop-1"
    assert device(desk, within_s=0) == "laptop-2"
    assert endpoint.calls == 2


@pytest.mark.parametrize("fault", OUTAGES.values(), ids=OUTAGES)
def test_serves_the_last_answer_through_an_outage_within_its_age_and_no_longer(
    desk: Desk, endpoint: Endpoint, clock: Clock, fault: Callable[[], bytes]
) -> None:
    device(desk)
    endpoint.fault = fault
    clock.moment += FRESH_S - 1
    assert device(desk, within_s=60) == "laptop-1"
    clock.moment += 1
    assert device(desk, within_s=60) is None
    clock.moment += AGAIN_S
    endpoint.fault = None
    assert device(desk) == "laptop-1"


@pytest.mark.parametrize("fault", OUTAGES.values(), ids=OUTAGES)
def test_asks_a_failing_edge_once_in_five_seconds_whoever_comes(
    desk: Desk, endpoint: Endpoint, clock: Clock, fault: Callable[[], bytes]
) -> None:
    endpoint.fault = fault
    assert [device(desk, str(number)) for number in range(50)] == [None] * 50
    assert endpoint.calls == 1
    clock.moment += AGAIN_S
    device(desk, "51")
    assert endpoint.calls == 2


@pytest.mark.parametrize("fault", NOS.values(), ids=NOS)
def test_forgets_at_once_what_the_edge_denies(
    desk: Desk, endpoint: Endpoint, clock: Clock, fault: Callable[[], bytes]
) -> None:
    device(desk)
    clock.moment += AGAIN_S
    good, endpoint.fault = endpoint.fault, fault
    assert device(desk, within_s=0) is None
    endpoint.fault = good
    assert device(desk) is None, "not asked again for five seconds"
    assert device(desk, "of somebody else") == "laptop-1", "which is nobody else's fault"
    clock.moment += AGAIN_S
    assert device(desk) == "laptop-1"


def test_lets_few_wait_for_a_hung_edge_and_then_nobody_for_a_while(endpoint: Endpoint, clock: Clock) -> None:
    desk = Desk(endpoint, shelf=doors.shelf(), clock=clock, timeout_s=0.2)
    gate = threading.Event()

    def hang() -> bytes:
        gate.wait(30)
        raise OSError("hung")

    endpoint.fault = hang
    crowd = 3 * (ASKING_MAX + WAITING_MAX)
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda n=number: found.append(device(desk, f"{n % (2 * ASKING_MAX)}")))
        for number in range(crowd)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    assert found == [None] * crowd
    assert endpoint.calls <= ASKING_MAX
    before = endpoint.calls
    assert [device(desk, f"later {number}") for number in range(50)] == [None] * 50
    assert endpoint.calls == before, "no request waits while the edge is known to hang"
    gate.set()


def test_asks_once_for_a_crowd_with_one_token(desk: Desk, endpoint: Endpoint) -> None:
    gate = threading.Event()

    def slow() -> bytes:
        gate.wait(30)
        endpoint.fault = None
        endpoint.calls -= 1
        return endpoint("t")

    endpoint.fault = slow
    found: list[str | None] = []
    threads = [threading.Thread(target=lambda: found.append(device(desk))) for _ in range(WAITING_MAX)]
    for thread in threads:
        thread.start()
    while desk._waiting < WAITING_MAX:
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join(25)
    assert found == ["laptop-1"] * WAITING_MAX
    assert endpoint.calls == 1


def test_says_on_the_health_screen_whether_the_edge_answers(
    desk: Desk, endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postures, "desk", lambda _: desk)
    seen = [edge_devices(NOW).status]
    device(desk)
    seen.append(edge_devices(NOW).status)
    endpoint.fault = raises(OSError("refused"))
    clock.moment += 60
    device(desk, within_s=0)
    seen.append(edge_devices(NOW).status)
    clock.moment += FRESH_S
    seen.append(edge_devices(NOW).status)
    assert edge_devices(NOW).facts["last_error"] == "OSError: refused"
    endpoint.fault = None
    device(desk)
    seen.append(edge_devices(NOW).status)
    assert seen == ["up", "up", "degraded", "down", "up"]


def test_takes_a_fault_that_nobody_foresaw_for_no_answer(
    desk: Desk, endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postures, "desk", lambda _: desk)
    device(desk)
    endpoint.fault = raises(httpx.InvalidURL("no port"))
    clock.moment += FRESH_S
    with pytest.raises(httpx.InvalidURL):
        device(desk)
    assert device(desk) is None
    reading = edge_devices(NOW)
    assert (reading.status, reading.facts["last_error"]) == ("down", "the question broke off")


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


def test_waits_for_the_process_that_asks_already(endpoint: Endpoint, clock: Clock) -> None:
    here, there = pair(endpoint, clock)
    gate, found = threading.Event(), list[str | None]()

    def slow() -> bytes:
        gate.wait(30)
        endpoint.fault, endpoint.calls = None, 0
        return endpoint("t")

    endpoint.fault = slow
    threads = [threading.Thread(target=lambda d=desk: found.append(device(d))) for desk in (here, there)]
    for thread in threads:
        thread.start()
    while not all(desk._waiting for desk in (here, there)):
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join(25)
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


def test_knows_nothing_of_anybody_while_redis_is_away(
    endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Desk(endpoint, shelf=Shelf("unix:///nowhere/redis.sock", apart="x"), clock=clock)
    assert [device(away) for _ in range(20)] == [None] * 20
    assert endpoint.calls == 0, "nobody is asked about what nobody may keep"
    monkeypatch.setattr(postures, "desk", lambda _: away)
    assert (edge_devices(NOW).status, edge_devices(NOW).facts["last_error"]) == (
        "down",
        "Redis: ConnectionError",
    )


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


def pair(endpoint: Endpoint, clock: Clock) -> tuple[Desk, Desk]:
    """The desks of two processes."""
    shared = doors.shelf()
    return (
        Desk(endpoint, shelf=shared, clock=clock, timeout_s=20),
        Desk(endpoint, shelf=Shelf(shared._url, apart=shared._apart), clock=clock, timeout_s=20),
    )
