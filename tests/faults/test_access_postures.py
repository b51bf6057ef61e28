"""The desk that asks the edge about bearers …"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx
import pytest

from core.access import postures
from core.access.adapters.identities import AGAIN_S, ASKING_MAX, FRESH_S, WAITING_MAX, Denied, Desk
from core.access.adapters.pinned import BadBody, BadStatus, TooLong
from core.access.probes import edge_devices
from tests import doors
from tests.cast import NOW
from tests.doors import Clock
from tests.edges import Endpoint, device, raises


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(endpoint: Endpoint, clock: Clock) -> Desk:
    return Desk(endpoint, shelf=doors.shelf(), clock=clock, timeout_s=90)


OUTAGES = {
    "refused": raises(OSError("connection refused")),
    "timeout": raises(httpx.ReadTimeout("slow")),
    "500": raises(BadStatus(500)),
    "redirect": raises(BadStatus(302)),
    "dripping": raises(BadBody("too slow")),
    "html": lambda: b"<html>please enable cookies</html>",
}
NOS = {
    "revoked": raises(Denied("status 401")),
    "wrong user": lambda: b'{"email": "eve@countersign.example", "user_uuid": "x"}',
    "empty": lambda: b"{}",
    "oversize": raises(TooLong("longer than 65536 bytes")),
}


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
        gate.wait(120)
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
        thread.join(60)
    assert found == [None] * crowd
    assert endpoint.calls <= ASKING_MAX
    before = endpoint.calls
    assert [device(desk, f"later {number}") for number in range(50)] == [None] * 50
    assert endpoint.calls == before, "no request waits while the edge is known to hang"
    gate.set()


def test_asks_once_for_a_crowd_with_one_token(desk: Desk, endpoint: Endpoint) -> None:
    gate = threading.Event()

    def slow() -> bytes:
        gate.wait(120)
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
        thread.join(60)
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
