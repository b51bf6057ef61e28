"""A leader that has been replaced ... (its answers are refused in engine/bridge/tests/session.rs)."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from engine_bridge.adapters import decoding
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.adapters.feed import Feed, _joined
from engine_bridge.adapters.session import Session
from engine_bridge.wire import event_feed_pb2, order_entry_pb2, types_pb2


class Line:
    """Hears what it is told to, and keeps what it was asked to go on with."""

    next_seq = 1

    def __init__(self) -> None:
        self.epoch = 0
        self.heard: list[order_entry_pb2.ServerFrame] = []
        self.said: list[order_entry_pb2.ClientFrame] = []
        self.resumed: list[tuple[int, int]] = []

    def say(self, message: bytes) -> None:
        self.said.append(order_entry_pb2.ClientFrame.FromString(message))

    def hear(self) -> bytes:
        sent: bytes = self.heard.pop(0).SerializeToString()
        return sent

    def resume(self, *, epoch: int, last_applied: int) -> None:
        self.epoch = epoch
        self.resumed.append((epoch, last_applied))


def greeted(line: Line, epoch: int, *, state: Any = types_pb2.SHARD_STATE_RUNNING) -> Session:
    """A session that has heard this welcome."""
    welcome = order_entry_pb2.Welcome(epoch=epoch, state=state, last_session_seq_applied=9)
    line.heard.append(order_entry_pb2.ServerFrame(welcome=welcome))
    made = Session("unix:/nowhere", line)  # type: ignore[arg-type]
    made._greet()
    return made


def test_greets_nobody_any_more() -> None:
    line = Line()
    assert greeted(line, 5).connected
    with pytest.raises(EngineAway, match="a leader of epoch 4 after one of 5"):
        greeted(line, 4)
    assert greeted(line, 6).connected
    assert line.resumed == [(5, 9), (6, 9)]
    assert [said.hello.next_session_seq for said in line.said] == [1, 1, 1]


def test_and_one_that_does_not_lead_yet_are_not_taken_for_the_leader() -> None:
    line = Line()
    for state in (types_pb2.SHARD_STATE_STANDBY, types_pb2.SHARD_STATE_DRAINING):
        with pytest.raises(EngineAway, match="the shard is"):
            greeted(line, 7, state=state)
    assert line.resumed == []


def test_and_one_that_stops_leading_is_left() -> None:
    line = Line()
    session = greeted(line, 7)
    status = types_pb2.ShardStatus(state=types_pb2.SHARD_STATE_DRAINING)
    with pytest.raises(EngineAway, match="the shard is draining"):
        session._take(order_entry_pb2.ServerFrame(status=status))


def test_and_whoever_leads_now_are_not_settled_as_one_run() -> None:
    """All of it would be written down as the former one's, who could go on with it."""
    feed = Feed.__new__(Feed)
    told = [(1, 1), (1, 2), (2, 3), (2, 5)]
    feed._read, feed._events = deque(_of(*one) for one in told), len(told)
    runs = [[(one.epoch, one.first_event_seq) for one in feed._take()] for _ in range(3)]
    assert runs == [told[:2], told[2:3], told[3:]]
    assert feed._events == 0


def test_and_whoever_leads_now_are_told_apart_by_settlement_which_is_told_how_far_they_are() -> None:
    """Each run says whose it is and which event is the newest, the last one's where several are joined."""
    noted = event_feed_pb2.Event(event_seq=4, marker=event_feed_pb2.ShardMarker())
    one, none = ([noted], 12), ([], 13)
    runs = [
        decoding.batch(
            event_feed_pb2.EventBatch(epoch=9, first_event_seq=4, events=events, durable_event_seq=newest)
        )
        for events, newest in (one, none)
    ]
    assert [(run.epoch, run.first_event_seq, run.newest_event_seq) for run in runs] == [
        (9, 4, 12),
        (9, 4, 13),
    ]
    whole = _joined([runs[0], replace(runs[0], first_event_seq=5, newest_event_seq=14)])
    assert (whole.epoch, whole.first_event_seq, whole.newest_event_seq) == (9, 4, 14)
    assert [event.event_seq for event in whole.events] == [4, 4]


def _of(epoch: int, first: int) -> event_feed_pb2.EventBatch:
    return event_feed_pb2.EventBatch(
        epoch=epoch, first_event_seq=first, events=[event_feed_pb2.Event(event_seq=first)]
    )
