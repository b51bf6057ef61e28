"""The engine's durable events, read by settlement from any sequence on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Final

import grpc

from engine_bridge.adapters import decoding
from engine_bridge.adapters.channel import EngineAway, failure, is_away, open_channel
from engine_bridge.domain.events import Batch
from engine_bridge.domain.results import engine_time
from engine_bridge.wire import event_feed_pb2, event_feed_pb2_grpc

BATCH_MAX: Final = 512
HEARTBEAT_MS: Final = 500
SILENCE_S: Final = 5.0
"""No batch and no heartbeat for so long: the stream is dead, whatever the connection says."""
SILENCES_MAX: Final = 4
"""So often nothing new, and what was asked for is no event that only is not durable yet."""
CALL_S: Final = 10.0
GATHERED_MAX: Final = 8 * BATCH_MAX
"""So many are handed over as one run: settlement's cost is by statement as well as by row."""
AHEAD_MAX: Final = 4 * GATHERED_MAX
"""So many events may lie read and not yet taken; beyond that the stream is left to wait."""


ASKED_MAX: Final = 64
"""Accounts asked for by number at once: an engine that lists all the assets it can tells of so many."""


class EventsMissing(LookupError):
    """The engine cannot tell these events: dropped on purpose, or damaged on its disk. It says what to do."""


@dataclass(frozen=True, slots=True)
class Page:
    """What `accounts` hold at one event: (account, asset) to (available, held) units, without zeros."""

    event_seq: int
    accounts: frozenset[int]
    found: dict[tuple[int, int], tuple[int, int]]


class Feed:
    """A subscription from one sequence on. A thread reads, so that the owner can always look up and stop.

    Live events come one or two at a time; what has gathered by the time the owner looks is handed over as
    one run.
    """

    def __init__(self, target: str, *, from_event_seq: int, consumer: str) -> None:
        self._channel = open_channel(target)
        request = event_feed_pb2.SubscribeRequest(
            from_event_seq=from_event_seq, max_events=BATCH_MAX, heartbeat_ms=HEARTBEAT_MS, consumer=consumer
        )
        self._call = event_feed_pb2_grpc.EventFeedStub(self._channel).Subscribe(request)
        self._changed = threading.Condition()
        self._read: deque[event_feed_pb2.EventBatch] = deque()
        self._events = 0
        self._end: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._pump, name="engine-feed", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float = SILENCE_S) -> Batch:
        """The next run of events, or an empty one as a sign of life.

        EngineAway where neither comes, EventsMissing where the engine has them no more.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._read or self._end is not None, timeout_s):
                raise EngineAway("the event feed fell silent")
            if not self._read:
                raise _away_or_missing(self._end) from None
            taken = self._take()
            self._changed.notify_all()
        return _joined([decoding.batch(wire) for wire in taken])

    def close(self) -> None:
        """End the subscription."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._call.cancel()
        self._thread.join(2.0)
        self._channel.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> list[event_feed_pb2.EventBatch]:
        """What has gathered, up to one run's worth, of one epoch and without a hole."""
        taken = [self._read.popleft()]
        count = len(taken[0].events)
        while self._read:
            last, after = taken[-1], self._read[0]
            follows = after.first_event_seq == last.first_event_seq + len(last.events)
            if after.epoch != last.epoch or not follows or count + len(after.events) > GATHERED_MAX:
                break
            taken.append(self._read.popleft())
            count += len(after.events)
        self._events -= count
        return taken

    def _pump(self) -> None:
        end: BaseException = EngineAway("the event feed ended")
        try:
            for wire in self._call:
                if not self._keep(wire):
                    break
        except grpc.RpcError as error:
            end = error
        with self._changed:
            self._end = end
            self._changed.notify_all()

    def _keep(self, wire: event_feed_pb2.EventBatch) -> bool:
        """Lay a batch where `next` finds it, once there is room; False where nobody will take it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._events < AHEAD_MAX)
            if self._closed:
                return False
            self._read.append(wire)
            self._events += len(wire.events)
            self._changed.notify_all()
            return True


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return replace(
        batches[0],
        events=tuple(event for batch in batches for event in batch.events),
        newest_event_seq=batches[-1].newest_event_seq,
    )


def read_range(target: str, *, first: int, last: int) -> Iterator[Batch]:
    """The events from `first` to `last` inclusive, for a comparison or a rebuild.

    EngineAway; EventsMissing, also where there is no such last one.
    """
    with Feed(target, from_event_seq=first, consumer="reader") as feed:
        reached, silences = first - 1, 0
        while reached < last:
            batch = feed.next()
            if batch.events:
                reached, silences = batch.last_event_seq, 0
                yield batch
                continue
            silences += 1
            if silences > SILENCES_MAX:
                raise EventsMissing(f"event {last} never was: {batch.newest_event_seq} is the newest")


def place_of(target: str, event_seq: int) -> tuple[int, datetime] | None:
    """Of which command and of what time that event is, which there must be; None where the engine has it no
    more. EngineAway, EngineRefused.
    """
    request = event_feed_pb2.SubscribeRequest(from_event_seq=event_seq, max_events=1)
    with open_channel(target) as channel:
        stub = event_feed_pb2_grpc.EventFeedStub(channel)
        try:
            for batch in stub.Subscribe(request, timeout=CALL_S):
                for event in batch.events:  # a heartbeat has none
                    return event.engine_seq, engine_time(event.engine_time_ns)
        except grpc.RpcError as error:
            if isinstance(_away_or_missing(error), EventsMissing):
                return None
            raise failure(error) from None
    raise EngineAway("the stream of events ended")


def balances(target: str) -> Iterator[Page]:
    """Every balance that is not zero, page by page; each account stands on one page at most. EngineAway.

    An engine does not tell all of a large venue at once: every order would wait for that.
    """
    place = 0
    while True:
        page, place = balances_from(target, place)
        yield page
        if not place:
            return


def balances_from(target: str, place: int) -> tuple[Page, int]:
    """The page that begins at that place, and where the next one does: 0 where there is none. EngineAway."""
    with open_channel(target) as channel:
        stub = event_feed_pb2_grpc.EventFeedStub(channel)
        return _page(stub, event_feed_pb2.BalancesRequest(paged=True, from_place=place))


def balances_of(target: str, accounts: Sequence[int]) -> Iterator[Page]:
    """The balances of these accounts, each on one page though it held nothing. EngineAway."""
    with open_channel(target) as channel:
        stub = event_feed_pb2_grpc.EventFeedStub(channel)
        for at in range(0, len(accounts), ASKED_MAX):
            asked = accounts[at : at + ASKED_MAX]
            page, _ = _page(stub, event_feed_pb2.BalancesRequest(account_ids=asked))
            yield replace(page, accounts=frozenset(asked))


def _page(
    stub: event_feed_pb2_grpc.EventFeedStub, request: event_feed_pb2.BalancesRequest
) -> tuple[Page, int]:
    found: dict[tuple[int, int], tuple[int, int]] = {}
    event_seq = next_place = 0
    try:
        for chunk in stub.GetBalances(request, timeout=CALL_S):
            event_seq, next_place = chunk.event_seq, chunk.next_place
            for row in chunk.balances:
                available, held = decoding.units(row.available), decoding.units(row.held)
                found[row.account_id, available.asset_id] = (available.units, held.units)
    except grpc.RpcError as error:
        if is_away(error):
            raise EngineAway(_reason(error)) from None
        raise
    return Page(event_seq, frozenset(account for account, _ in found), found), next_place


def _away_or_missing(error: BaseException | None) -> Exception:
    missing = {grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.DATA_LOSS}
    if isinstance(error, grpc.Call) and error.code() in missing:
        return EventsMissing(error.details())
    return EngineAway(_reason(error))


def _reason(error: BaseException | None) -> str:
    return error.code().name if isinstance(error, grpc.Call) else str(error)
