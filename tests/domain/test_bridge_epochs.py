"""A leader that has been replaced ..."""

from __future__ import annotations

from typing import Any

import pytest

from engine_bridge.adapters.channel import EngineAway
from engine_bridge.adapters.session import Session
from engine_bridge.adapters.ticket import Ticket, runs
from engine_bridge.domain.commands import CancelOrder
from engine_bridge.wire import order_entry_pb2, types_pb2


class Line:
    """A stream that hears what is sent, and tells one frame for each hearing."""

    def __init__(self, *frames: order_entry_pb2.ServerFrame) -> None:
        self.sent: list[bytes] = []
        self._frames = list(frames)

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def receive(self) -> list[bytes]:
        return [self._frames.pop(0).SerializeToString()]


def welcome(epoch: int, state: Any = types_pb2.SHARD_STATE_RUNNING) -> order_entry_pb2.ServerFrame:
    return order_entry_pb2.ServerFrame(welcome=order_entry_pb2.Welcome(epoch=epoch, state=state))


@pytest.fixture
def session() -> Session:
    """One that was greeted by the leader of epoch 5, and waits for an answer."""
    made = Session("unix:/nowhere")
    made._greet(Line(welcome(5)))  # type: ignore[arg-type]
    ticket = Ticket(1)
    made.hand_over(ticket, runs(ticket, [CancelOrder(7, 1_000, 5, 6)], largest=1))
    return made


def test_greets_nobody_any_more(session: Session) -> None:
    session.connected = False
    with pytest.raises(EngineAway, match="a leader of epoch 4 after one of 5"):
        session._greet(Line(welcome(4)))  # type: ignore[arg-type]
    assert not session.connected
    session._greet(Line(welcome(6)))  # type: ignore[arg-type]
    assert (session.connected, session.epoch) == (True, 6)


def test_answers_nothing_any_more(session: Session) -> None:
    answer = order_entry_pb2.CommandResult(session_seq=1)
    with pytest.raises(EngineAway, match="answers of epoch 4 after 5"):
        session._settle(order_entry_pb2.ResultBatch(epoch=4, results=[answer]))
    assert session.depth == 1, "the command waits for the leader's own answer"
    session._settle(order_entry_pb2.ResultBatch(epoch=5, results=[answer]))
    assert session.depth == 0


def test_and_one_that_does_not_lead_yet_are_not_taken_for_the_leader(session: Session) -> None:
    for state in (types_pb2.SHARD_STATE_STANDBY, types_pb2.SHARD_STATE_DRAINING):
        with pytest.raises(EngineAway, match="the shard is"):
            session._greet(Line(welcome(7, state)))  # type: ignore[arg-type]
