"""The bridge's stream to the real engine ..."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import clock
from core.ids import new_id
from engine_bridge.adapters import administration, client, encoding, feed
from engine_bridge.adapters.channel import EngineAway, EngineBusy, OutcomeUnknown
from engine_bridge.adapters.client import Bridge
from engine_bridge.domain.commands import CancelOrder, Command, PlaceOrder
from engine_bridge.domain.orders import OrderTerms, OrderType, Side, StpMode
from engine_bridge.domain.results import Result, ResultCode
from tests.trading import until
from tests.venue import Engine, engine_running

LARGEST = 2**63 - 1
FRAMES_IN_FLIGHT_MAX, BATCH_MAX, WAITING_MAX = 8, 512, 8_192
"""As in engine/bridge/src/session.rs."""
FRAME_BYTES_MAX = 64 * 1024


@pytest.fixture
def engine() -> Iterator[Engine]:
    with engine_running() as running:
        yield running


@pytest.fixture
def bridge(engine: Engine) -> Iterator[Bridge]:
    opened = Bridge(f"unix:{engine.orders}")
    assert opened.connected()
    yield opened
    opened.close()


def cancels(count: int, *, first: int = 1) -> list[Command]:
    """Commands that tell which one is answered: the engine names the order that it does not know."""
    expires = int(clock.now().timestamp() * 1000) + 60_000
    return [CancelOrder(new_id().int, expires, first + index, 7) for index in range(count)]


def numbers(answers: list[Any]) -> list[int]:
    assert {answer.code for answer in answers} == {ResultCode.UNKNOWN_ORDER}, answers
    return [answer.order_id for answer in answers]


def journaled(engine: Engine) -> int:
    return engine.status().engine_seq


def test_answers_thousands_at_once_in_their_order(engine: Engine, bridge: Bridge) -> None:
    before = journaled(engine)
    asked = cancels(WAITING_MAX)
    assert numbers(bridge.submit(asked)) == [command.order_id for command in asked]
    assert journaled(engine) - before == WAITING_MAX


def test_refuses_at_once_what_it_has_no_room_for(engine: Engine, bridge: Bridge) -> None:
    before = journaled(engine)
    with pytest.raises(EngineBusy):
        bridge.submit(cancels(WAITING_MAX + 1))
    assert numbers(bridge.submit(cancels(1))) == [1]
    assert journaled(engine) - before <= 2


def test_serves_calls_of_one_and_of_hundreds_together(bridge: Bridge) -> None:
    found: dict[int, list[int]] = {}

    def work(begin: int, each: int) -> None:
        found[begin] = []
        for first in range(begin, begin + 50 * each, each):
            found[begin] += numbers(bridge.submit(cancels(each, first=first)))

    calls = [(1_000, 1), (2_000, 1), (10_000, 7), (20_000, 20), (100_000, 600)]
    threads = [threading.Thread(target=work, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {begin: list(range(begin, begin + 50 * each)) for begin, each in calls}


def test_gets_the_first_outcome_for_what_it_sends_again(engine: Engine, bridge: Bridge) -> None:
    asked = cancels(BATCH_MAX + 1)
    assert numbers(bridge.submit(asked)) == [command.order_id for command in asked]
    before = journaled(engine)
    again = bridge.submit(asked)
    assert {answer.duplicate for answer in again if isinstance(answer, Result)} == {True}
    assert numbers(again) == [command.order_id for command in asked]
    assert journaled(engine) == before


def test_has_one_outcome_for_a_command_that_two_streams_bring_at_once(engine: Engine, bridge: Bridge) -> None:
    other = Bridge(f"unix:{engine.orders}")
    assert other.connected()
    before = journaled(engine)
    asked, found = cancels(400), {}
    threads = [
        threading.Thread(target=lambda line=line: found.update({line: line.submit(asked)}))
        for line in (bridge, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [[answer.engine_seq for answer in found[line]] for line in (bridge, other)]
    assert told[0] == told[1]
    assert journaled(engine) - before == 400
    other.close()
    firsts = [one.duplicate != two.duplicate for one, two in zip(found[bridge], found[other], strict=True)]
    assert all(firsts), "each was new to one of the two and known to the other"


def test_keeps_a_slow_reader_of_events_waiting_and_loses_it_nothing(
    engine: Engine, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far more events than may lie ahead of it; the engine and everybody else go on meanwhile."""
    monkeypatch.setattr(feed, "AHEAD_MAX", 8)
    with feed.Feed(f"unix:{engine.transfers}", from_event_seq=1, consumer="slow") as slow:
        for index in range(200):
            administration.put_asset(f"unix:{engine.admin}", number=index + 10, code=f"A{index}", decimals=8)
        assert numbers(bridge.submit(cancels(1))) == [1]
        reached, newest = 0, engine.status().event_seq
        assert newest >= 200
        while reached < newest:
            batch = slow.next(60)
            if batch.events:
                assert batch.first_event_seq == reached + 1
                reached = batch.last_event_seq
                time.sleep(0.001)


def test_goes_on_when_the_engine_dies_in_the_middle_of_a_batch(engine: Engine, bridge: Bridge) -> None:
    """Paused first, so that frames lie unanswered when it dies: sent again, each is applied once."""
    assert numbers(bridge.submit(cancels(1))) == [1]
    before = journaled(engine)
    answers: dict[int, list[Any]] = {}
    calls = [cancels(count, first=10_000 * count) for count in (1, 1_500, 3, 40)]
    engine.pause()
    threads = [
        threading.Thread(target=lambda asked=asked: answers.update({len(asked): bridge.submit(asked)}))
        for asked in calls
    ]
    for thread in threads:
        thread.start()
    sent = sum(map(len, calls))
    until(lambda: bridge._session.depth == sent)
    engine.kill()
    engine.start()
    for thread in threads:
        thread.join()
    for asked in calls:
        assert numbers(answers[len(asked)]) == [command.order_id for command in asked]
    assert journaled(engine) - before <= sent + 3  # a start and the session's openings
    assert (bridge._session.depth, bridge._session.failures) == (0, 0)


def test_takes_back_what_never_left_and_says_so(engine: Engine, bridge: Bridge) -> None:
    assert numbers(bridge.submit(cancels(1))) == [1]
    before = journaled(engine)
    engine.pause()
    frames = FRAMES_IN_FLIGHT_MAX * BATCH_MAX
    sent = threading.Thread(target=bridge.submit, args=(cancels(frames, first=10),))
    sent.start()
    until(lambda: bridge._session.depth == frames)
    with pytest.raises(EngineAway):
        bridge.submit(cancels(5, first=90_000), timeout_s=0.2)
    engine.go_on()
    sent.join()
    assert journaled(engine) - before == frames


def test_opens_the_circuit_when_nothing_answers_and_closes_it_again(
    engine: Engine, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "QUERY_S", 0.1)
    engine.pause()
    try:
        for _ in range(client.SILENCES_MAX):
            answers = bridge.submit(cancels(3), timeout_s=0.1)
            assert [type(answer) for answer in answers] == 3 * [OutcomeUnknown]
        begun = time.monotonic()
        with pytest.raises(EngineAway):
            bridge.submit(cancels(1))
        assert time.monotonic() - begun < client.ANSWER_S
    finally:
        engine.go_on()
    until(bridge.connected)
    assert numbers(bridge.submit(cancels(1))) == [1]


def test_never_says_that_nothing_was_taken_because_it_cannot_ask(
    engine: Engine, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have left; that the papers for a question were moved away since then tells nothing of them."""

    def open_channel(target: str) -> None:
        raise EngineAway("no certificates to show to the engine")

    monkeypatch.setattr(client, "open_channel", open_channel)
    before = journaled(engine)
    engine.pause()
    answers = bridge.submit(cancels(2), timeout_s=0.2)
    engine.go_on()
    assert [type(answer) for answer in answers] == 2 * [OutcomeUnknown]
    until(lambda: bridge._session.depth == 0)
    assert journaled(engine) - before == 2, "and so it was"


def test_refuses_at_once_while_it_is_known_that_nobody_answers(
    engine: Engine, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(limit: float) -> bool:
        raise AssertionError("it waits")

    engine.kill()
    until(lambda: bridge._session.failures > 1)
    with monkeypatch.context() as patched:
        patched.setattr(bridge._session.connection_settled, "wait", wait)
        for _ in range(20):
            with pytest.raises(EngineAway, match="no connection to the engine"):
                bridge.submit(cancels(1))
    assert bridge._session.depth == 0
    engine.start()
    until(bridge.connected)
    assert numbers(bridge.submit(cancels(1))) == [1]


def test_outlives_what_breaks_in_one_connection(
    engine: Engine, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that nobody has thought of must not leave a process without its line for good."""
    broken = threading.Event()

    def hear() -> None:
        monkeypatch.undo()
        broken.set()
        raise RuntimeError("on purpose")

    monkeypatch.setattr(bridge._session._line, "hear", hear)
    assert broken.wait(60)
    until(lambda: bridge._session.failures == 0 and bridge.connected())
    assert numbers(bridge.submit(cancels(3))) == [1, 2, 3]


def test_leaves_nobody_waiting_when_it_is_closed(bridge: Bridge, engine: Engine) -> None:
    engine.pause()
    outcome: list[Any] = []
    caller = threading.Thread(target=lambda: outcome.extend(bridge.submit(cancels(1), timeout_s=0.5)))
    caller.start()
    until(lambda: bridge._session.depth == 1)
    bridge._session.stop()
    caller.join(60)
    engine.go_on()
    assert not caller.is_alive()
    assert [type(answer) for answer in outcome] == [OutcomeUnknown]
    with pytest.raises(EngineAway):
        bridge.submit(cancels(1))


def test_is_one_in_a_process_whoever_asks(engine: Engine, settings: Any) -> None:
    settings.ENGINE_TARGET = f"unix:{engine.orders}"
    client.close_bridge()
    barrier, found = threading.Barrier(8), set()

    def ask() -> None:
        barrier.wait()
        found.add(client.bridge())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {client.bridge()}
    client.close_bridge()
    assert client.bridge() not in found, "a new one after the end of the former"
    client.close_bridge()


def test_is_not_shared_with_a_child_even_if_it_is_born_while_the_lock_is_held(
    engine: Engine, settings: Any
) -> None:
    settings.ENGINE_TARGET = f"unix:{engine.orders}"
    client.close_bridge()
    assert numbers(client.bridge().submit(cancels(1))) == [1]
    with client._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if client._bridge is None and client._lock.acquire(blocking=False) else 1)
    assert os.waitpid(child, 0)[1] == 0
    client.close_bridge()


def test_makes_no_command_longer_than_a_frame_counts_on() -> None:
    for order_type in OrderType:
        terms = OrderTerms(
            Side.SELL, order_type, LARGEST, LARGEST, LARGEST, "", "", StpMode.CANCEL_BOTH, quote_sized=False
        )
        order = PlaceOrder(new_id().int, 2**48, LARGEST, 2**31, LARGEST, terms)
        (command,) = encoding.commands([order])
        tags_and_size, number = 3, 10
        assert tags_and_size + number + len(command) <= FRAME_BYTES_MAX // BATCH_MAX


def test_says_what_is_missing_where_its_own_part_was_not_built(tmp_path: Path) -> None:
    with pytest.raises(EngineAway, match="bin/setup builds what is missing"):
        Bridge(f"unix:{tmp_path / 's'}", library=tmp_path / "libcountersign_bridge.so")
