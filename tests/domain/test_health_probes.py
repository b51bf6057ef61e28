"""A probe …"""

from datetime import datetime

import pytest

from core import health
from core.health import probes
from core.health.queries import parts


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_registered", {})


def up(now: datetime) -> health.Reading:
    return health.Reading(health.Status.UP, f"It is {now:%H:%M}.", {"lag_s": 0})


def slow(now: datetime) -> health.Reading:
    return health.Reading(health.Status.DEGRADED, "It lags.")


def broken(now: datetime) -> health.Reading:
    raise ConnectionError("10.0.0.7 refused")


def test_that_fails_is_a_part_that_is_down(now: datetime) -> None:
    health.register("node", broken)
    reading = probes.read("node", now=now)
    assert reading.status is health.Status.DOWN
    assert "10.0.0.7" not in reading.sentence


def test_is_listed_by_how_bad_it_is(now: datetime) -> None:
    for name, probe in (("a", up), ("b", slow), ("c", broken), ("d", up)):
        health.register(name, probe)
    assert [part.name for part in parts(now=now)] == ["c", "b", "a", "d"]


def test_is_registered_once() -> None:
    health.register("engine", up)
    health.register("engine", up)
    with pytest.raises(ValueError, match="twice"):
        health.register("engine", slow)
