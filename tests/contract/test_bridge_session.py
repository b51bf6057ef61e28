"""The bridge's stream to the real engine ..."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core import clock
from core.ids import new_id
from engine_bridge.adapters import administration, client, encoding, feed, session
from engine_bridge.adapters.channel import EngineAway, EngineBusy, OutcomeUnknown
from engine_bridge.adapters.client import Bridge
from engine_bridge.domain.commands import CancelOrder, Command, PlaceOrder
from engine_bridge.domain.orders import OrderTerms, OrderType, Side, StpMode
from engine_bridge.domain.results import Result, ResultCode
from tests.trading import until
from tests.venue import Engine, engine_running

LARGEST = 2**63 - 1


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
    return [CancelOrder(new_id(), expires, first + index, 7) for index in range(count)]


def numbers(answers: list[Any]) -> list[int]:
    assert {answer.code for answer in answers} == {ResultCode.UNKNOWN_ORDER}, answers
    return [answer.order_id for answer in answers]


def journaled(engine: Engine) -> int:
    return engine.status().engine_seq


def test_answers_thousands_at_once_in_their_order(engine: Engine, bridge: Bridge) -> None:
    before = journaled(engine)
    asked = cancels(session.WAITING_MAX)
    assert numbers(bridge.submit(asked)) == [command.order_id for command in asked]
    assert journaled(engine) - before == session.WAITING_MAX


def test_refuses_at_once_what_it_has_no_room_for(engine: Engine, bridge: Bridge) -> None:
    before = journaled(engine)
    with pytest.raises(EngineBusy):
        bridge.submit(cancels(session.WAITING_MAX + 1))
    assert numbers(bridge.submit(cancels(1))) == [1]
    assert journaled(engine) - before <= 2


def test_serves_threads_and_coroutines_of_other_loops_together(bridge: Bridge) -> None:
    found: dict[int, list[int]] = {}

    async def many(begin: int) -> None:
        asked = [bridge.submit_async(cancels(2, first=begin + 2 * index)) for index in range(100)]
        found[begin] = [number for answers in await asyncio.gather(*asked) for number in numbers(answers)]

    def thread(begin: int) -> None:
        found[begin] = [numbers(bridge.submit(cancels(1, first=begin + i)))[0] for i in range(50)]

    work = [threading.Thread(target=thread, args=(begin,)) for begin in (1_000, 2_000)]
    work += [threading.Thread(target=asyncio.run, args=(many(begin),)) for begin in (3_000, 4_000)]
    for item in work:
        item.start()
    for item in work:
        item.join()
    assert {begin: (rows[0], len(rows), sorted(rows) == rows) for begin, rows in found.items()} == {
        1_000: (1_000, 50, True),
        2_000: (2_000, 50, True),
        3_000: (3_000, 200, True),
        4_000: (4_000, 200, True),
    }


def test_answers_a_batch_beside_the_stream_and_again_with_its_first_outcome(
    engine: Engine, bridge: Bridge
) -> None:
    asked = cancels(session.BATCH_MAX)
    first = bridge.submit_batch(asked)
    assert numbers(first) == [command.order_id for command in asked]
    before = journaled(engine)
    again = bridge.submit_batch(asked) + bridge.submit(asked)
    assert {answer.duplicate for answer in again if isinstance(answer, Result)} == {True}
    assert numbers(again) == 2 * [command.order_id for command in asked]
    assert journaled(engine) == before
    with pytest.raises(ValueError, match="at most"):
        bridge.submit_batch(cancels(session.BATCH_MAX + 1))


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
    other.close()
    told = [[answer.engine_seq for answer in found[line]] for line in (bridge, other)]
    assert told[0] == told[1]
    assert journaled(engine) - before == 400
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
    answers: dict[str, list[Any]] = {}
    asked = cancels(1_500, first=10)
    engine.pause()
    threads = [
        threading.Thread(target=lambda: answers.update(stream=bridge.submit(asked))),
        threading.Thread(target=lambda: answers.update(batch=bridge.submit_batch(asked[:300]))),
    ]
    for thread in threads:
        thread.start()
    until(lambda: bridge._session.depth == 1_500)
    time.sleep(0.1)
    engine.kill()
    engine.start()
    for thread in threads:
        thread.join()
    assert numbers(answers["stream"]) == [command.order_id for command in asked]
    assert numbers(answers["batch"]) == [command.order_id for command in asked[:300]]
    assert journaled(engine) - before <= 1_500 + 3  # a start and the session's openings
    assert (bridge._session.depth, bridge._session.failures) == (0, 0)


def test_takes_back_what_never_left_and_says_so(engine: Engine, bridge: Bridge) -> None:
    assert numbers(bridge.submit(cancels(1))) == [1]
    before = journaled(engine)
    engine.pause()
    frames = session.FRAMES_IN_FLIGHT_MAX * session.BATCH_MAX
    sent = threading.Thread(target=bridge.submit, args=(cancels(frames, first=10),))
    sent.start()
    until(lambda: bridge._session.depth == frames)
    with pytest.raises(EngineAway):
        bridge.submit(cancels(5, first=90_000), timeout_s=0.2)
    with pytest.raises(EngineAway):
        asyncio.run(bridge.submit_async(cancels(5, first=90_000), timeout_s=0.2))
    engine.go_on()
    sent.join()
    assert journaled(engine) - before == frames


def test_opens_the_circuit_when_nothing_answers_and_closes_it_again(
    engine: Engine, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "QUERY_S", 0.1)
    engine.pause()
    try:
        for _ in range(session.FRAMES_IN_FLIGHT_MAX):
            answers = bridge.submit(cancels(3), timeout_s=0.1)
            assert [type(answer) for answer in answers] == 3 * [OutcomeUnknown]
        # Behind two frames without an answer nothing is sent: this one certainly never happens.
        with pytest.raises(EngineAway):
            bridge.submit(cancels(3), timeout_s=0.1)
        begun = time.monotonic()
        with pytest.raises(EngineAway):
            bridge.submit(cancels(1))
        assert time.monotonic() - begun < client.ANSWER_S
    finally:
        engine.go_on()
    until(bridge.connected)
    assert numbers(bridge.submit(cancels(1))) == [1]


def test_leaves_nobody_waiting_when_it_is_closed(bridge: Bridge, engine: Engine) -> None:
    engine.pause()
    outcome: list[Any] = []
    caller = threading.Thread(target=lambda: outcome.extend(bridge.submit(cancels(1), timeout_s=0.5)))
    caller.start()
    until(lambda: bridge._session.depth == 1)
    waiting = threading.Thread(
        target=lambda: outcome.extend(asyncio.run(bridge.submit_async(cancels(1), timeout_s=60)))
    )
    waiting.start()
    until(lambda: bridge._session.depth == 2)
    bridge._session.stop()
    for thread in (caller, waiting):
        thread.join(60)
    engine.go_on()
    assert not caller.is_alive()
    assert not waiting.is_alive()
    assert [type(answer) for answer in outcome] == 2 * [OutcomeUnknown]
    with pytest.raises(EngineAway):
        bridge.submit(cancels(1))


def test_reads_on_the_loop_of_a_process_that_lives_on_one(engine: Engine) -> None:
    """There it also goes on when the engine dies, serves threads beside, and ends with whoever made it."""

    async def lives() -> None:
        bridge = Bridge(f"unix:{engine.orders}", loop=asyncio.get_running_loop())
        assert await asyncio.to_thread(bridge.connected)
        asked = [cancels(3, first=10 * index) for index in range(1, 301)]
        answers = await asyncio.gather(*map(bridge.submit_async, asked))
        assert [numbers(found) for found in answers] == [
            [command.order_id for command in one] for one in asked
        ]
        assert numbers(await asyncio.to_thread(bridge.submit, cancels(2, first=5))) == [5, 6]
        before = journaled(engine)
        engine.pause()
        late = [asyncio.create_task(bridge.submit_async(cancels(1, first=n))) for n in range(1, 900)]
        await asyncio.sleep(0)
        assert bridge._session.depth == len(late)
        engine.kill()
        await asyncio.to_thread(engine.start)
        assert [numbers(await one) for one in late] == [[n] for n in range(1, 900)]
        assert journaled(engine) - before <= len(late) + 3
        # Two frames unanswered, and nothing leaves behind them: it certainly never happens.
        engine.pause()
        stuck = [asyncio.create_task(bridge.submit_async(cancels(1), timeout_s=60)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(EngineAway):
            await bridge.submit_async(cancels(1), timeout_s=0.1)
        bridge.close()
        for one in stuck:
            one.cancel()
        engine.go_on()

    asyncio.run(lives())


def test_ends_its_line_with_the_loop_that_reads_it(engine: Engine) -> None:
    async def begins() -> Bridge:
        bridge = Bridge(f"unix:{engine.orders}", loop=asyncio.get_running_loop())
        assert numbers(await bridge.submit_async(cancels(1))) == [1]
        return bridge

    bridge = asyncio.run(begins())
    until(lambda: not bridge.connected())
    with pytest.raises(EngineAway):
        bridge.submit(cancels(1))
    bridge.close()


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
        command = encoding.command(PlaceOrder(new_id(), 2**48, LARGEST, 2**31, LARGEST, terms))
        head = len(encoding.frame([], first_seq=1)) + 2
        assert len(encoding.frame([command], first_seq=2**56)) - head <= session.COMMAND_BYTES_MAX
