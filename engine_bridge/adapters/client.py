"""This process's line to the engine: handed out by `bridge()`, made on first use, one per process.

A process that was forked makes its own. Callers are ordinary threads, as Django's views are under ASGI too,
and each waits for its own answers with a limit. One command or thousands go the same way.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import grpc
from django.conf import settings

from engine_bridge.adapters import decoding, encoding, papers
from engine_bridge.adapters.channel import EngineAway, OutcomeUnknown, is_away, open_channel
from engine_bridge.adapters.line import Line
from engine_bridge.adapters.session import Session
from engine_bridge.domain.commands import Command
from engine_bridge.domain.results import AWAY, Result, ResultCode
from engine_bridge.wire import market_data_pb2, market_data_pb2_grpc, order_entry_pb2, order_entry_pb2_grpc

log = logging.getLogger(__name__)

Answer: TypeAlias = Result | OutcomeUnknown

CONNECT_S: Final = 1.0
ANSWER_S: Final = 3.0
QUERY_S: Final = 1.0
SILENCES_MAX: Final = 3
"""So many calls in a row without any answer open the circuit: the engine is connected, but not alive."""

_UNTOLD: Final = AWAY - {ResultCode.UNCONFIRMED} | {ResultCode.FORGOTTEN}
"""Codes that tell nothing of the outcome of one command among others: an engine that is gone may have taken
it. Who waits for confirmation has looked whether it was.
"""
_UNKNOWN: Final = frozenset({ResultCode.UNKNOWN_COMMAND, ResultCode.FORGOTTEN})


class Bridge:
    """Orders in, answers out, and looks at the book, over the orders socket."""

    def __init__(self, target: str, *, library: Path | None = None) -> None:
        """EngineAway where the library is missing; papers.BadTarget."""
        papers.door(target)
        self.target = target
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._session = Session(target, Line(library or settings.ENGINE_LIBRARY))
        self._session.start()

    def submit(self, commands: Sequence[Command], *, timeout_s: float | None = None) -> list[Answer]:
        """The durable answer to each command, in order; OutcomeUnknown in the place of one that did not come.

        EngineAway and EngineBusy are raised only while it is certain that none of the commands was taken.
        """
        self._wait_for_connection()
        whole, known = self._session.submit(
            encoding.commands(commands), timeout_s=ANSWER_S if timeout_s is None else timeout_s
        )
        if whole:
            self._session.silences = 0
            return _told(decoding.answers(known))
        # The time is over: what never left was taken back; what left and stayed unanswered is asked about.
        answers, unsent = decoding.places(known)
        self._session.note_late(is_silent=not any(answers))
        open_places = [
            place for place, answer in enumerate(answers) if answer is None and place not in unsent
        ]
        for place, found in self._looked_up([commands[place] for place in open_places]):
            answers[open_places[place]] = found
        return _answers(answers, unsent)

    def book(self, instrument_id: int, *, depth: int) -> market_data_pb2.BookFrame:
        """A snapshot of the book, as far as it is durable. EngineAway."""
        request = market_data_pb2.BookRequest(instrument_id=instrument_id, depth=depth)
        try:
            return market_data_pb2_grpc.MarketDataStub(self._calls()).GetBook(request, timeout=QUERY_S)
        except grpc.RpcError as error:
            if is_away(error):
                raise EngineAway(error.code().name) from None  # type: ignore[attr-defined]
            raise

    def connected(self) -> bool:
        """Whether orders can be sent now, waiting a moment where that is not known yet."""
        try:
            self._wait_for_connection()
        except EngineAway:
            return False
        return True

    def close(self) -> None:
        """End the stream and its thread."""
        self._session.stop()
        with self._lock:
            if self._channel is not None:
                self._channel.close()
                self._channel = None

    def abandon(self) -> None:
        """In a forked child: leave the parent's stream to the parent."""
        self._session.abandon()

    def _calls(self) -> grpc.Channel:
        """The channel of single calls, opened when first needed."""
        with self._lock:
            if self._channel is None:
                self._channel = open_channel(self.target)
            return self._channel

    def _looked_up(self, commands: Sequence[Command]) -> Iterator[tuple[int, Result]]:
        """Ask by the commands' ids, all at once: the answers may have been lost with the connection. Gives
        the places of those that are known, and what is known. Whatever keeps it from asking, the commands may
        have been taken: so nothing is raised here, and the rest stays unknown.
        """
        if not commands:
            return
        try:
            query = order_entry_pb2_grpc.OrderEntryStub(self._calls()).QueryCommand
        except EngineAway as away:
            log.warning("what became of %d commands cannot be asked: %s", len(commands), away)
            return
        asked = []
        for command in commands:
            request = order_entry_pb2.QueryCommandRequest(command_id=command.command_id.to_bytes(16, "big"))
            asked.append(query.future(request, timeout=QUERY_S, wait_for_ready=False))
        for place, call in enumerate(asked):
            try:
                found = call.result()
            except grpc.RpcError as error:
                if not is_away(error):
                    log.error("what became of a command is not told: %s", error.details())  # type: ignore[attr-defined]
                continue
            if decoding.code(found.code) not in _UNKNOWN:
                yield place, decoding.result(found)

    def _wait_for_connection(self) -> None:
        """Return at once while connected; refuse at once while the circuit is open; else wait a moment."""
        session = self._session
        if session.connected and session.silences < SILENCES_MAX:
            return
        if session.connected:
            session.drop()
        if session.failures == 0:
            session.connection_settled.wait(CONNECT_S + 0.5)
        if not session.connected:
            raise EngineAway(f"no connection to the engine: {session.ended}")


def _answers(found: Sequence[Result | None], unsent: set[int]) -> list[Answer]:
    """What is known of a call whose time is over, in order; EngineAway where nothing of it was taken."""
    if all(place in unsent if result is None else result.code in AWAY for place, result in enumerate(found)):
        raise EngineAway("the engine went away before anything was sent")
    return [OutcomeUnknown() if result is None or result.code in _UNTOLD else result for result in found]


def _told(results: list[Result]) -> list[Answer]:
    """Results as answers; EngineAway where every command certainly was not taken."""
    codes = {result.code for result in results}
    if codes and codes <= AWAY:
        raise EngineAway(min(codes))
    if _UNTOLD.isdisjoint(codes):
        return list(results)
    return [OutcomeUnknown() if result.code in _UNTOLD else result for result in results]


_lock = threading.Lock()
_bridge: Bridge | None = None
_owner = 0
_parents: Bridge | None = None
"""Kept, since to let go of a channel of grpc's would wait for threads that a child does not have."""


def bridge() -> Bridge:
    """This process's bridge, made on first use and again after a fork."""
    global _bridge, _owner
    with _lock:
        if _bridge is None or _owner != os.getpid() or _bridge.target != settings.ENGINE_TARGET:
            if _bridge is not None and _owner == os.getpid():
                _bridge.close()
            _bridge, _owner = Bridge(settings.ENGINE_TARGET), os.getpid()
        return _bridge


def close_bridge() -> None:
    """End this process's bridge, where it has one."""
    global _bridge
    with _lock:
        if _bridge is not None and _owner == os.getpid():
            _bridge.close()
        _bridge = None


def _after_fork() -> None:
    """A child begins without a bridge, and with a lock that nobody holds: its parent's threads stayed."""
    global _lock, _bridge, _parents
    if _bridge is not None:
        _bridge.abandon()
    _lock, _bridge, _parents = threading.Lock(), None, _bridge


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close_bridge)
