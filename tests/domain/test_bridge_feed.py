"""A feed of events ... (runs of one leader are told apart in test_bridge_epochs.py)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import pytest

from engine_bridge.adapters import feed
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.adapters.feed import EventsMissing, Feed
from engine_bridge.domain.events import Batch
from engine_bridge.wire import event_feed_pb2
from tests.events import Tape


def opened(*first: int, count: int = 1) -> Feed:
    """One that has read runs of so many events, which begin there."""
    made = Feed.__new__(Feed)
    made._changed, made._closed, made._end = threading.Condition(), False, None
    made._read, made._events = deque(wire(number, count) for number in first), len(first) * count
    return made


def wire(first: int, count: int) -> event_feed_pb2.EventBatch:
    numbers = range(first, first + count)
    noted = [event_feed_pb2.Event(event_seq=one, marker=event_feed_pb2.ShardMarker()) for one in numbers]
    return event_feed_pb2.EventBatch(epoch=1, first_event_seq=first, events=noted, durable_event_seq=99)


def test_hands_over_what_was_read_before_it_says_that_it_ended() -> None:
    read = opened(1)
    read._end = EngineAway("the event feed ended")
    assert read.next(0).last_event_seq == 1
    with pytest.raises(EngineAway, match="the event feed ended"):
        read.next(0)


def test_that_falls_silent_says_so() -> None:
    with pytest.raises(EngineAway, match="the event feed fell silent"):
        opened().next(0)


def test_joins_no_more_than_settlement_takes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "GATHERED_MAX", 5)
    read = opened(1, 3, 5, count=2)
    runs = [read.next(0), read.next(0)]
    assert [(run.first_event_seq, run.last_event_seq) for run in runs] == [(1, 4), (5, 6)]


def test_reads_no_further_ahead_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "AHEAD_MAX", 2)
    read = opened(1)
    asked: list[bool] = []

    def wait_for(room: Callable[[], bool], timeout: float | None = None) -> bool:
        asked.append(room())
        read._closed = not asked[-1]  # whoever takes them has gone
        return True

    monkeypatch.setattr(read._changed, "wait_for", wait_for)
    assert [read._keep(wire(2, 1)), read._keep(wire(3, 1))] == [True, False]
    assert (asked, [one.first_event_seq for one in read._read]) == ([True, False], [1, 2])


def test_that_is_asked_for_an_event_that_never_was_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four signs of life are not yet enough to say so, and each event begins the count anew."""
    tape = Tape()
    for _ in range(3):
        tape.open_market()
    nothing = Batch(1, 4, (), 3)
    told = [tape.batch(1, 2), *[nothing] * feed.SILENCES_MAX, tape.batch(3), *[nothing] * 9]

    class Script:
        def __init__(self, target: str, *, from_event_seq: int, consumer: str) -> None:
            assert from_event_seq == 1

        def __enter__(self) -> Script:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def next(self) -> Batch:
            return told.pop(0)

    monkeypatch.setattr(feed, "Feed", Script)
    read = feed.read_range("unix:nowhere", first=1, last=5)
    assert [next(read).last_event_seq, next(read).last_event_seq] == [2, 3]
    with pytest.raises(EventsMissing, match="event 5 never was: 3 is the newest"):
        next(read)
    assert len(told) == 9 - feed.SILENCES_MAX - 1
