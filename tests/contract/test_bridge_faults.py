"""A fault in the part of the bridge that runs outside the interpreter (engine/bridge) ..."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks

from engine_bridge.adapters import line
from engine_bridge.adapters.channel import EngineAway, OutcomeUnknown
from engine_bridge.adapters.client import Bridge
from engine_bridge.domain.results import Result
from tests.contract.test_bridge_session import BATCH_MAX, bridge, cancels, engine, journaled, numbers
from tests.trading import until
from tests.venue import Engine

__all__ = ["bridge", "engine"]

TAKING, NUMBERED, SENT, READ, KEPT, GREETED, SETTLED = range(1, 8)
"""As in engine/bridge/src/faults.rs."""


def fault_at(place: int) -> None:
    """Have whoever comes by there next panic."""
    ctypes.CDLL(str(settings.ENGINE_LIBRARY)).line_fault(place)


@pytest.mark.parametrize("place", [TAKING, NUMBERED, SENT, READ, KEPT, GREETED, SETTLED])
def test_ends_no_process_and_loses_or_doubles_no_command(engine: Engine, bridge: Bridge, place: int) -> None:
    """Several call at once; afterwards each command has one outcome, and what was told is that one."""
    assert numbers(bridge.submit(cancels(1))) == [1]
    before = journaled(engine)
    calls = [cancels(count, first=10_000 * count) for count in (1, 3, 40, 2 * BATCH_MAX)]
    told: dict[int, Any] = {}

    def work(call: int) -> None:
        try:
            told[call] = bridge.submit(calls[call], timeout_s=5.0)
        except EngineAway as away:
            told[call] = away

    fault_at(place)
    if place == GREETED:
        bridge._session.drop()
    threads = [threading.Thread(target=work, args=(call,)) for call in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    until(bridge.connected)
    # Streams' ends and begins are journaled, too: by this answer the last of them is.
    assert numbers(bridge.submit(cancels(1))) == [1]
    taken = journaled(engine) - before
    again = [bridge.submit(call) for call in calls]
    for first, second, call in zip([told[call] for call in range(len(calls))], again, calls, strict=True):
        assert numbers(second) == [command.order_id for command in call]
        answers = [first] * len(call) if isinstance(first, EngineAway) else first
        for one, other in zip(answers, second, strict=True):
            assert isinstance(other, Result)
            if isinstance(one, Result):
                assert other.duplicate
                assert (one.engine_seq, one.order_id) == (other.engine_seq, other.order_id)
            elif isinstance(one, EngineAway):
                assert not other.duplicate, "it was said that none was taken"
            else:
                assert isinstance(one, OutcomeUnknown)
    new = sum(not answer.duplicate for answers in again for answer in answers if isinstance(answer, Result))
    assert journaled(engine) - before - taken == new, "each is applied once"
    assert (bridge._session.depth, bridge._session.failures) == (0, 0)


def test_leaves_no_outcome_unknown_that_the_engine_can_tell(bridge: Bridge) -> None:
    """It was applied, and no answer to what is sent again will come: it is asked about by its id."""
    asked = cancels(3)
    first = bridge.submit(asked)
    fault_at(NUMBERED)
    again = bridge.submit(asked, timeout_s=60.0)
    assert numbers(again) == [1, 2, 3]
    assert [answer.engine_seq for answer in again] == [answer.engine_seq for answer in first]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [None, "libnothing.so", "librelease.so"])
def test_is_possible_on_purpose_only_where_a_deployment_is_told_not_to_use_it(
    name: str | None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The faults of these tests exist in a build with assertions, and `check --deploy` refuses such a one."""
    if name == "librelease.so":
        monkeypatch.setattr(line, "_loaded", lambda path: SimpleNamespace(line_is_release=lambda: True))
    if name is not None:
        settings.ENGINE_LIBRARY = tmp_path / name
    told = {None: "engine.E002", "libnothing.so": "engine.E001", "librelease.so": None}[name]
    found = [one for one in run_checks(include_deployment_checks=True) if str(one.id).startswith("engine.")]
    assert [one.id for one in found] == [told] * (told is not None)
    assert all("cargo build --release" in str(one.hint) for one in found)
    assert not [one for one in run_checks() if str(one.id).startswith("engine.")], "only for a deployment"


def test_leaves_nobody_waiting_for_answers_that_will_not_be_brought(engine: Engine, bridge: Bridge) -> None:
    """Nobody answers, and all time in the world: whoever waits is let go by the fault itself, and asks."""
    assert numbers(bridge.submit(cancels(1))) == [1]
    engine.pause()
    waiting = cancels(5, first=10)
    found: list[Any] = []
    caller = threading.Thread(target=lambda: found.extend(bridge.submit(waiting, timeout_s=600.0)))
    caller.start()
    until(lambda: bridge._session.depth == len(waiting))
    fault_at(TAKING)
    other = threading.Thread(target=bridge.submit, args=(cancels(1),), kwargs={"timeout_s": 600.0})
    other.start()
    until(lambda: bridge._session.depth == 0)
    engine.go_on()
    for thread in (caller, other):
        thread.join(60)
        assert not thread.is_alive()
    assert len(found) == len(waiting)
    until(bridge.connected)
    assert numbers(bridge.submit(waiting)) == [command.order_id for command in waiting]
