"""A line on which nobody answers ..."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from engine_bridge.adapters import client, decoding, session
from engine_bridge.adapters.channel import EngineAway, EngineRefused
from engine_bridge.adapters.client import SILENCES_MAX, Bridge
from engine_bridge.adapters.session import Session
from engine_bridge.domain.commands import CancelOrder
from engine_bridge.domain.results import Result
from engine_bridge.wire import order_entry_pb2, types_pb2
from tests.domain.test_bridge_epochs import Line

LATE, TOLD, UNSENT = range(3)
"""As in engine/bridge/src/ticket.rs."""
OK = types_pb2.RESULT_CODE_OK


class Quiet(Line):
    """A line whose calls end late, with what is known of each command."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[int] = []
        self.shuts = 0

    def submit(self, commands: list[bytes], *, timeout_s: float) -> tuple[bool, bytes]:
        told = [
            decoding.ANSWER.pack(OK, False, state, 1, at, 0, 0, 1) for at, state in enumerate(self.known, 1)
        ]
        return {*self.known} == {TOLD}, b"".join(told)

    def shut(self) -> None:
        self.shuts += 1


@pytest.fixture
def line() -> Quiet:
    return Quiet()


@pytest.fixture
def bridge(line: Quiet, monkeypatch: pytest.MonkeyPatch) -> Bridge:
    """One that is greeted, and to whose questions nobody knows anything."""

    def unknown(self: Bridge, commands: Any) -> Iterator[Any]:
        return iter(())

    monkeypatch.setattr(Bridge, "_looked_up", unknown)
    return opened(line)


def opened(line: Quiet) -> Bridge:
    made = Bridge.__new__(Bridge)
    made._session = Session("unix:/nowhere", line)  # type: ignore[arg-type]
    greet(made, line)
    return made


def greet(bridge: Bridge, line: Quiet) -> None:
    welcome = order_entry_pb2.Welcome(epoch=1, state=types_pb2.SHARD_STATE_RUNNING)
    line.heard.append(order_entry_pb2.ServerFrame(welcome=welcome))
    bridge._session._greet()


def call(bridge: Bridge, line: Quiet, *known: int) -> None:
    line.known = list(known)
    bridge.submit([CancelOrder(number, 1, number, 1) for number, _ in enumerate(known)])


def test_is_asked_about_each_command_that_left_and_no_answer_goes_to_another(
    line: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {4: types_pb2.RESULT_CODE_UNKNOWN_COMMAND, 6: types_pb2.RESULT_CODE_UNKNOWN_ORDER}
    asked: list[int] = []

    class Lost(grpc.RpcError):  # type: ignore[misc]
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

    def query(request: order_entry_pb2.QueryCommandRequest, **_: Any) -> Any:
        asked.append(number := int.from_bytes(request.command_id))

        def result() -> order_entry_pb2.CommandResult:
            if number not in known:
                raise Lost
            return order_entry_pb2.CommandResult(code=known[number], order_id=number)

        return SimpleNamespace(result=result)

    stub = SimpleNamespace(QueryCommand=SimpleNamespace(future=query))
    monkeypatch.setattr(client.order_entry_pb2_grpc, "OrderEntryStub", lambda channel: stub)
    monkeypatch.setattr(Bridge, "_calls", lambda self: None)
    line.known = [TOLD, LATE, UNSENT, LATE, TOLD, LATE]
    answers = opened(line).submit([CancelOrder(number, 1, number, 1) for number in range(1, 7)])
    assert asked == [2, 4, 6]
    told = [answer.order_id if isinstance(answer, Result) else None for answer in answers]
    assert told == [1, None, None, None, 5, 6]


def test_is_given_up_after_so_many_calls_in_a_row_without_any_answer(bridge: Bridge, line: Quiet) -> None:
    """A call of which a part was answered says that the other side lives, however slow it is."""
    for known in ((TOLD,), (TOLD, LATE), (LATE, TOLD)):
        for _ in range(SILENCES_MAX - 1):
            call(bridge, line, LATE, LATE)
        call(bridge, line, *known)
    for _ in range(SILENCES_MAX):
        assert line.shuts == 0
        call(bridge, line, LATE)
    with pytest.raises(EngineAway):
        call(bridge, line, TOLD)
    assert line.shuts == 1


def test_is_not_given_up_for_the_silence_of_the_one_before(bridge: Bridge, line: Quiet) -> None:
    """Many wait when an engine dies: the next one has kept nobody waiting yet."""
    for _ in range(SILENCES_MAX):
        call(bridge, line, LATE)
    greet(bridge, line)
    call(bridge, line, TOLD)
    assert line.shuts == 0


def test_is_tried_again_at_once_and_more_slowly_where_it_was_refused(
    bridge: Bridge, line: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[Exception] = [EngineAway("gone") for _ in range(4)]
    ends += [EngineRefused("not you"), EngineRefused("not you"), EngineAway("gone")]
    pauses: list[float] = []

    class Stopping:
        def is_set(self) -> bool:
            return not ends

        def wait(self, pause_s: float) -> None:
            pauses.append(pause_s)

    def one_connection(self: Session) -> None:
        raise ends.pop(0)

    monkeypatch.setattr(Session, "_one_connection", one_connection)
    bridge._session._stopping = Stopping()  # type: ignore[assignment]
    bridge._session._keep_connected()
    soon, most, refused = session.BACKOFF_FIRST_S, session.BACKOFF_MAX_S, session.REFUSED_S
    assert pauses == [soon, 2 * soon, 4 * soon, most, refused, refused, most]
    greet(bridge, line)
    ends.append(EngineAway("gone"))
    bridge._session._keep_connected()
    assert pauses[7:] == [soon]
