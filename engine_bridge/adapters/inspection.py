"""Looking into the engine: its books as they stand, and its journal read again. Over the admin socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import grpc

from engine_bridge.adapters.channel import EngineAway, is_away, open_channel
from engine_bridge.domain.results import engine_time
from engine_bridge.wire import admin_pb2, admin_pb2_grpc, market_data_pb2, market_data_pb2_grpc, types_pb2

CALL_S: Final = 2.0
Level: TypeAlias = tuple[int, int, int]
"""Ticks, lots, orders."""

_STATES: Final = {
    admin_pb2.VERIFY_STATE_RUNNING: "running",
    admin_pb2.VERIFY_STATE_SOUND: "sound",
    admin_pb2.VERIFY_STATE_BROKEN: "broken",
}
_SIDES: Final = {types_pb2.SIDE_BUY: "buy", types_pb2.SIDE_SELL: "sell"}


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading the journal's closed segments again has given, or gives so far.

    `state` is running, sound or broken; `finding` says what is wrong and where. Sequences are the engine's;
    0 = nothing was read yet. Hashes are hex, empty while it runs. `replayed_after` is 0, or the snapshot from
    which it was replayed because older segments were dropped on purpose.
    """

    state: str
    started_at: datetime
    finished_at: datetime | None
    segments: int
    blocks: int
    records: int
    bytes: int
    first_seq: int
    last_seq: int
    event_chain: str
    state_hash: str
    finding: str
    replayed_after: int = 0
    first_event: int = 0
    last_event: int = 0


@dataclass(frozen=True, slots=True)
class Indication:
    """What a call auction would do now: `price_ticks` is 0 where nothing crosses, `unmatched_side` buy or
    sell where something would be left over, else empty.
    """

    price_ticks: int
    matched_lots: int
    unmatched_lots: int
    unmatched_side: str


@dataclass(frozen=True, slots=True)
class Depth:
    """The best levels of a book, best first, as of one event; with the call auction that it collects for."""

    event_seq: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    auction: Indication | None = None


def verify(target: str, *, begin: bool) -> Verification | None:
    """How the engine's latest verification is; `begin` starts one where none runs. None where there was none
    since it leads, or where it is of a version that cannot; EngineAway.
    """
    try:
        with _channel(target) as channel:
            request = admin_pb2.VerifyRequest(begin=begin)
            wire = admin_pb2_grpc.AdminStub(channel).Verify(request, timeout=CALL_S)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:  # type: ignore[attr-defined]
            return None
        raise
    if wire.state not in _STATES:
        return None
    return Verification(
        state=_STATES[wire.state],
        started_at=engine_time(wire.started_at_ms * 1_000_000),
        finished_at=engine_time(wire.finished_at_ms * 1_000_000) if wire.finished_at_ms else None,
        segments=wire.segments,
        blocks=wire.blocks,
        records=wire.records,
        bytes=wire.bytes,
        first_seq=wire.first_seq,
        last_seq=wire.last_seq,
        event_chain=wire.event_chain.hex(),
        state_hash=wire.state_hash.hex(),
        finding=wire.finding,
        replayed_after=wire.replayed_after_seq,
        first_event=wire.first_event_seq,
        last_event=wire.last_event_seq,
    )


def depth(target: str, *, instrument: int, levels: int) -> Depth:
    """A durable snapshot of one book; EngineAway."""
    with _channel(target) as channel:
        request = market_data_pb2.BookRequest(instrument_id=instrument, depth=levels)
        frame = market_data_pb2_grpc.MarketDataStub(channel).GetBook(request, timeout=CALL_S)
    auction = _indication(frame.auction) if frame.HasField("auction") else None
    return Depth(frame.event_seq, _levels(frame.bids), _levels(frame.asks), auction)


def _indication(wire: Any) -> Indication:
    side = _SIDES.get(wire.unmatched_side, "")
    return Indication(wire.price_ticks, wire.matched_lots, wire.unmatched_lots, side)


def _levels(wire: Any) -> tuple[Level, ...]:
    return tuple((level.price_ticks, level.qty_lots, level.orders) for level in wire)


@contextmanager
def _channel(target: str) -> Iterator[grpc.Channel]:
    with open_channel(target) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            if is_away(error):
                raise EngineAway(error.code().name) from None  # type: ignore[attr-defined]
            raise
