"""A leader that begins while settlement has something else to do ..."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command

from core import clock, daemon
from engine_bridge import tasks
from engine_bridge.actions import stop_market
from engine_bridge.adapters import administration
from engine_bridge.daemons import confirming
from engine_bridge.management.commands import settle
from tests.officers import enrol
from tests.trading import until
from tests.venue import Venue, venue_open


@pytest.fixture
def venue(real_database: str) -> Iterator[Venue]:
    with venue_open(waits=True) as opened:
        yield opened


def another_leader(venue: Venue) -> None:
    venue.engine.kill()
    venue.engine.start()


def takes_orders(venue: Venue) -> bool:
    return not venue.engine.status().awaits_confirmation


def state(venue: Venue) -> str:
    return administration.listed(f"unix:{venue.engine.admin}")[1]


def test_is_confirmed_beside_it_and_so_is_the_next_one(venue: Venue) -> None:
    staff = enrol(now=clock.now())
    with confirming.confirming(f"unix:{venue.engine.admin}"):
        until(lambda: takes_orders(venue))
        another_leader(venue)
        until(lambda: takes_orders(venue))
        assert state(venue) == "open"
        venue.engine.kill()
        stop_market(
            symbol="BTC-USDT",
            state="halted",
            reason="prices look wrong",
            actor=staff.sam.actor,
            now=clock.now(),
        )
        venue.engine.start()
        until(lambda: takes_orders(venue))
        assert state(venue) == "halted"


def test_is_confirmed_after_a_fault(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    look, faults = tasks.assert_market_states, [RuntimeError("a fault")]

    def faulty(**told: Any) -> None:
        if faults:
            raise faults.pop()
        look(**told)

    monkeypatch.setattr(tasks, "assert_market_states", faulty)
    monkeypatch.setattr(confirming, "FAULT_S", 0.01)
    another_leader(venue)
    with confirming.confirming(f"unix:{venue.engine.admin}"):
        until(lambda: takes_orders(venue))
    assert not faults


def test_is_confirmed_by_a_process_that_waits_to_settle(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one settles, and may be about to end."""
    another_leader(venue)
    monkeypatch.setattr(settle, "calm_collector", lambda: None)
    monkeypatch.setattr(daemon, "lead", lambda *_, **__: until(lambda: takes_orders(venue), within_s=20))
    call_command("settle")
