"""The engine's durable events, read by settlement from any sequence on."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

import grpc

from engine_bridge.adapters import decoding
from engine_bridge.adapters.channel import EngineAway, is_away, open_channel
from engine_bridge.domain.events import Batch
from engine_bridge.wire import event_feed_pb2, event_feed_pb2_grpc

log = logging.getLogger(__name__)

BATCH_MAX: Final = 1024
HEARTBEAT_MS: Final = 500
SILENCE_S: Final = 5.0
"""No batch and no heartbeat for so long: the stream is dead, whatever the connection says."""
CALL_S: Final = 10.0
AHEAD_MAX: Final = 4


class Feed:
    """A subscription from one sequence on. A thread reads, so that the owner can always look up and stop."""

    def __init__(self, target: str, *, from_event_seq: int, consumer: str) -> None:
        self._channel = open_channel(target)
        request = event_feed_pb2.SubscribeRequest(
            from_event_seq=from_event_seq, max_events=BATCH_MAX, heartbeat_ms=HEARTBEAT_MS, consumer=consumer
        )
        self._call = event_feed_pb2_grpc.EventFeedStub(self._channel).Subscribe(request)
        self._read: queue.Queue[Any] = queue.Queue(AHEAD_MAX)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._pump, name="engine-feed", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float = SILENCE_S) -> Batch:
        """The next run of events, or an empty one as a sign of life; EngineAway where neither comes."""
        try:
            item = self._read.get(timeout=timeout_s)
        except queue.Empty:
            raise EngineAway("the event feed fell silent") from None
        if isinstance(item, BaseException):
            raise EngineAway(_reason(item)) from None
        return decoding.batch(item)

    def close(self) -> None:
        """End the subscription."""
        self._closed.set()
        self._call.cancel()
        self._thread.join(2.0)
        self._channel.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pump(self) -> None:
        try:
            for wire in self._call:
                self._put(wire)
            self._put(EngineAway("the event feed ended"))
        except grpc.RpcError as error:
            self._put(error)

    def _put(self, item: Any) -> None:
        while not self._closed.is_set():
            try:
                return self._read.put(item, timeout=0.5)
            except queue.Full:
                continue
        return None


def read_range(target: str, *, first: int, last: int) -> Iterator[Batch]:
    """The events from `first` to `last` inclusive, for a comparison or a rebuild."""
    with Feed(target, from_event_seq=first, consumer="reader") as feed:
        reached = first - 1
        while reached < last:
            batch = feed.next()
            if batch.events:
                reached = batch.last_event_seq
                yield batch


def balances(target: str) -> tuple[int, dict[tuple[int, int], tuple[int, int]]]:
    """The event sequence at which they were true, and (account, asset) to (available, held) units."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    event_seq = 0
    with open_channel(target) as channel:
        try:
            stub = event_feed_pb2_grpc.EventFeedStub(channel)
            for chunk in stub.GetBalances(event_feed_pb2.BalancesRequest(), timeout=CALL_S):
                event_seq = chunk.event_seq
                for row in chunk.balances:
                    available, held = decoding.units(row.available), decoding.units(row.held)
                    found[row.account_id, available.asset_id] = (available.units, held.units)
        except grpc.RpcError as error:
            if is_away(error):
                raise EngineAway(_reason(error)) from None
            raise
    return event_seq, found


def _reason(error: BaseException) -> str:
    return error.code().name if isinstance(error, grpc.Call) else str(error)
