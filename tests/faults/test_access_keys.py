"""The store of the edge's keys …"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from core.access import doors
from core.access.adapters.keys import (
    COOLDOWN_S,
    FRESH_S,
    STALE_S,
    AmbiguousKeySet,
    BadKeySet,
    KeyStore,
    parse,
)
from core.access.domain.tokens import BadToken, Fault
from core.access.probes import edge_keys
from devstack.standins.edge_issuer import Issuer
from kernel import encodings
from tests.cast import NOW


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        return self.moment


class Endpoint:
    """The certs address, counted, with faults."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.calls = 0
        self.fault: Callable[[], bytes] | None = None

    def __call__(self) -> bytes:
        self.calls += 1
        return self.fault() if self.fault else json.dumps(self.issuer.certs()).encode()

    @property
    def kid(self) -> str:
        return str(self.issuer.certs()["keys"][0]["kid"])


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    keys = tmp_path_factory.mktemp("issuer") / "keys.json"
    return Issuer(url="http://127.0.0.1:1", keys_file=keys, people=[], services=[])


@pytest.fixture
def endpoint(issuer: Issuer) -> Endpoint:
    return Endpoint(issuer)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(endpoint: Endpoint, clock: Clock) -> KeyStore:
    return KeyStore(endpoint, monotonic=clock, development=True)


def fails() -> bytes:
    raise OSError("connection refused")


def settle() -> None:
    """Wait for the background refresh, if one runs."""
    for thread in threading.enumerate():
        if thread.name == "access-keys":
            thread.join(60)


def nudge(store: KeyStore, kid: str) -> None:
    """Ask once, whatever comes of it, and wait for the refresh that this starts."""
    with contextlib.suppress(BadToken):
        store.key_of(kid)
    settle()


def refusal(store: KeyStore, kid: str) -> Fault:
    with pytest.raises(BadToken) as caught:
        store.key_of(kid)
    return caught.value.fault


def test_fetches_once_for_many_tokens(store: KeyStore, endpoint: Endpoint) -> None:
    for _ in range(200):
        assert store.key_of(endpoint.kid)
    assert endpoint.calls == 1


def test_refreshes_in_the_background_when_no_longer_fresh(
    store: KeyStore, endpoint: Endpoint, clock: Clock
) -> None:
    store.key_of(endpoint.kid)
    gate, released = threading.Event(), []
    good = json.dumps(endpoint.issuer.certs()).encode()

    def slow() -> bytes:
        released.append(gate.wait(120))
        return good

    endpoint.fault = slow
    clock.moment += FRESH_S + 1
    for _ in range(50):
        assert store.key_of(endpoint.kid)
    gate.set()
    settle()
    assert released == [True]  # by us, after everybody had their key: nobody waited for the endpoint
    assert endpoint.calls == 2
    assert store.age().seconds == 0


def test_is_not_hammered_by_unknown_kids(store: KeyStore, endpoint: Endpoint, clock: Clock) -> None:
    store.key_of(endpoint.kid)
    for number in range(500):
        assert refusal(store, f"{number:064x}") is Fault.KEY_UNKNOWN
    assert endpoint.calls == 1
    clock.moment += COOLDOWN_S
    refusal(store, "f" * 64)
    refusal(store, "e" * 64)
    assert endpoint.calls == 2


def test_finds_a_new_key_after_the_cooldown(
    store: KeyStore, endpoint: Endpoint, clock: Clock, issuer: Issuer
) -> None:
    old = endpoint.kid
    store.key_of(old)
    issuer.rotate()
    assert refusal(store, endpoint.kid) is Fault.KEY_UNKNOWN
    clock.moment += COOLDOWN_S
    assert store.key_of(endpoint.kid)
    assert store.key_of(old)


def test_drops_a_key_that_was_withdrawn(
    store: KeyStore, endpoint: Endpoint, clock: Clock, issuer: Issuer
) -> None:
    old = endpoint.kid
    store.key_of(old)
    issuer.rotate()
    issuer.rotate()
    clock.moment += FRESH_S + 1
    nudge(store, old)
    assert refusal(store, old) is Fault.KEY_UNKNOWN


@pytest.mark.parametrize(
    "fault",
    [
        fails,
        lambda: b"<html>sign in</html>",
        lambda: b'{"keys": []}',
        lambda: b'{"keys": [{"kty": "oct", "k": "AAAA", "kid": "x"}]}',
        lambda: b"[]",
    ],
    ids=["refused", "html", "empty", "foreign keys", "not an object"],
)
def test_keeps_the_last_good_set_through_an_outage(
    store: KeyStore, endpoint: Endpoint, clock: Clock, fault: Callable[[], bytes]
) -> None:
    store.key_of(endpoint.kid)
    endpoint.fault = fault
    for _ in range(5):
        clock.moment += FRESH_S + 1
        assert store.key_of(endpoint.kid)
        settle()
    assert store.age().error
    assert store.age().seconds > FRESH_S


def test_denies_once_an_outage_outlasts_the_stale_limit(
    store: KeyStore, endpoint: Endpoint, clock: Clock
) -> None:
    store.key_of(endpoint.kid)
    endpoint.fault = fails
    clock.moment += STALE_S
    assert store.key_of(endpoint.kid)
    settle()
    clock.moment += 1
    assert refusal(store, endpoint.kid) is Fault.KEYS_STALE
    settle()
    endpoint.fault = None
    clock.moment += COOLDOWN_S
    nudge(store, endpoint.kid)
    assert store.key_of(endpoint.kid)


def test_denies_everything_before_it_has_ever_known_a_key(
    store: KeyStore, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.fault = fails
    assert refusal(store, endpoint.kid) is Fault.KEYS_STALE
    endpoint.fault = None
    assert refusal(store, endpoint.kid) is Fault.KEYS_STALE
    assert endpoint.calls == 1
    clock.moment += COOLDOWN_S
    assert store.key_of(endpoint.kid)


def test_lets_everybody_through_while_one_waits_for_a_hung_endpoint(
    store: KeyStore, endpoint: Endpoint, clock: Clock
) -> None:
    store.key_of(endpoint.kid)
    gate, released = threading.Event(), []

    def hang() -> bytes:
        released.append(gate.wait(120))
        return fails()

    endpoint.fault = hang
    clock.moment += FRESH_S + 1
    got: list[object] = []

    def ask() -> None:
        got.append(store.key_of(endpoint.kid))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    answered = len(got)
    gate.set()
    settle()
    assert answered == 8
    assert released == [True]
    assert endpoint.calls == 2


def test_lets_everybody_wait_for_the_first_fetch_however_late_they_come(
    store: KeyStore, endpoint: Endpoint
) -> None:
    begun, gate = threading.Event(), threading.Event()
    good = json.dumps(endpoint.issuer.certs()).encode()

    def slow() -> bytes:
        begun.set()
        gate.wait(120)
        return good

    endpoint.fault = slow
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.key_of, endpoint.kid)
        assert begun.wait(60)
        second = pool.submit(store.key_of, endpoint.kid)
        with pytest.raises(TimeoutError):
            second.result(0.2)
        gate.set()
        assert first.result(60) == second.result(60)
    assert endpoint.calls == 1


def test_fetches_once_for_a_crowd_at_a_cold_start(store: KeyStore, endpoint: Endpoint) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(store.key_of(endpoint.kid))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(found), endpoint.calls) == (8, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"alg": "RS512"},
        {"kty": "EC"},
        {"kid": 7},
        {"kid": ""},
        {"n": "AQAB"},
        {"n": 5},
        {"e": ""},
    ],
)
def test_takes_no_key_of_another_kind(issuer: Issuer, change: dict[str, Any]) -> None:
    entry = issuer.certs()["keys"][0] | change
    with pytest.raises(BadKeySet, match="no usable key"):
        parse(json.dumps({"keys": [entry]}).encode())


def doubled(issuer: Issuer) -> bytes:
    """The team's own key, and behind it somebody else's under the same name."""
    ours, theirs = issuer.certs()["keys"][0], foreign()
    return json.dumps({"keys": [ours, {**theirs, "kid": ours["kid"]}]}).encode()


def foreign() -> dict[str, str]:
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers()
    spelt = {name: encodings.base64url(to_bytes(getattr(numbers, name))) for name in ("n", "e")}
    return {"kty": "RSA", "use": "sig", "alg": "RS256", **spelt}


def to_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def test_takes_no_set_in_which_two_keys_have_one_name(
    store: KeyStore, endpoint: Endpoint, clock: Clock, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets a line into the team's answer must not take a known key's place."""
    monkeypatch.setattr(doors, "key_store", lambda *_, **__: store)
    known = store.key_of(endpoint.kid)
    endpoint.fault = lambda: doubled(issuer)
    clock.moment += FRESH_S + 1
    nudge(store, endpoint.kid)
    assert store.key_of(endpoint.kid) is known
    reading = edge_keys(NOW)
    assert reading.status == "degraded", "this is no outage that may last for hours before anybody looks"
    assert "one kid" in str(reading.facts["last_error"])
    endpoint.fault = None
    clock.moment += COOLDOWN_S
    nudge(store, endpoint.kid)
    assert edge_keys(NOW).status == "up"


def test_knows_no_key_at_a_cold_start_where_two_have_one_name(issuer: Issuer) -> None:
    store = KeyStore(lambda: doubled(issuer), development=True)
    assert refusal(store, str(issuer.certs()["keys"][0]["kid"])) is Fault.KEYS_STALE


@pytest.mark.parametrize("twice", ['{"keys": [], "keys": [%s]}', '{"keys": [%s], "keys": []}'])
def test_takes_no_set_that_says_a_member_twice(issuer: Issuer, twice: str) -> None:
    entry = json.dumps(issuer.certs()["keys"][0])
    for document in (twice % entry, '{"keys": [%s]}' % (entry[:-1] + ', "kid": "x"}')):
        with pytest.raises(AmbiguousKeySet):
            parse(document.encode())


def test_of_production_takes_no_development_keys(endpoint: Endpoint, clock: Clock) -> None:
    store = KeyStore(endpoint, monotonic=clock)
    assert refusal(store, endpoint.kid) is Fault.KEYS_STALE
    assert "development" in store.age().error


def test_keeps_the_stand_ins_keys_over_a_restart(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    first = Issuer(url="http://127.0.0.1:1", keys_file=file, people=[], services=[])
    second = Issuer(url="http://127.0.0.1:1", keys_file=file, people=[], services=[])
    assert first.certs() == second.certs()
    assert file.stat().st_mode & 0o777 == 0o600


def test_says_on_the_health_screen_how_old_its_keys_are(
    store: KeyStore, endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "key_store", lambda *_, **__: store)
    seen = [edge_keys(NOW).status]
    store.key_of(endpoint.kid)
    endpoint.fault = fails
    for seconds in (0, FRESH_S * 2 + 1, STALE_S):
        clock.moment += seconds
        seen.append(edge_keys(NOW).status)
    assert seen == ["degraded", "up", "degraded", "down"]
