"""The engine's administration: markets, halts, status. Over the admin socket, which the web tier cannot
open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import grpc

from engine_bridge.adapters import decoding
from engine_bridge.adapters.channel import EngineAway, EngineRefused, failure, is_away, open_channel
from engine_bridge.domain.fees import Rates
from engine_bridge.domain.markets import Band, Known, Listing
from engine_bridge.domain.results import ResultCode, engine_time
from engine_bridge.wire import (
    admin_pb2,
    admin_pb2_grpc,
    market_data_pb2,
    market_data_pb2_grpc,
    types_pb2,
)

CALL_S: Final = 5.0
WATCH_S: Final = 20.0
"""A watch ends by itself after so long: the machine at its other end may be gone, and nobody says so."""
DONE: Final = frozenset({ResultCode.OK, ResultCode.UNCHANGED})


class Overtaken(EngineRefused):
    """The market's state has changed, or another leader has begun, since it was looked at: look again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Every market's state behind one command, which may be named where something follows from it."""

    states: Mapping[int, str]
    engine_seq: int  # 0: an engine of a former version, which does not tell it


@dataclass(frozen=True, slots=True)
class ShardReading:
    """The engine's own word on how it is."""

    epoch: int
    state: str
    engine_seq: int
    durable_seq: int
    event_seq: int
    queue_depth: int
    open_orders: int
    accounts: int
    fsync_p50_us: int
    fsync_p99_us: int
    journal_bytes: int
    snapshot_seq: int
    state_hash: str
    state_hash_seq: int
    engine_time: datetime
    version: str
    consumers: Mapping[str, int]
    # An engine of a former version does not tell these.
    queue_limit: int = 0
    flush_us_buckets: Sequence[int] = ()
    awaits_confirmation: bool = False


def status(target: str) -> ShardReading:
    """What the engine says of itself; EngineAway. EngineRefused: a standby's socket, whose process leads."""
    with _channel(target) as channel:
        return _reading(admin_pb2_grpc.AdminStub(channel).Status(types_pb2.Empty(), timeout=CALL_S))


def watch(target: str) -> Iterator[ShardReading]:
    """The same at once, at each change and once a second, until it ends or the time is over: EngineAway."""
    with _channel(target) as channel:
        for wire in admin_pb2_grpc.AdminStub(channel).WatchStatus(types_pb2.Empty(), timeout=WATCH_S):
            yield _reading(wire)
    raise EngineAway("the engine ends")


def _reading(wire: types_pb2.ShardStatus) -> ShardReading:
    return ShardReading(
        epoch=wire.epoch,
        state=decoding.SHARD_STATES.get(wire.state, "unknown"),
        engine_seq=wire.engine_seq,
        durable_seq=wire.durable_seq,
        event_seq=wire.event_seq,
        queue_depth=wire.queue_depth,
        open_orders=wire.open_orders,
        accounts=wire.accounts,
        fsync_p50_us=wire.fsync_p50_us,
        fsync_p99_us=wire.fsync_p99_us,
        journal_bytes=wire.journal_bytes,
        snapshot_seq=wire.snapshot_seq,
        state_hash=wire.state_hash.hex(),
        state_hash_seq=wire.state_hash_seq,
        engine_time=engine_time(wire.engine_time_ns),
        version=wire.version,
        consumers={item.name: item.sent_event_seq for item in wire.consumers},
        queue_limit=wire.queue_limit,
        flush_us_buckets=tuple(wire.flush_us_buckets),
        awaits_confirmation=wire.awaits_confirmation,
    )


def listed(target: str) -> dict[int, str]:
    """Instrument number to state of everything that the engine lists."""
    return dict(seen(target).states)


def seen(target: str) -> Seen:
    """The same, with the command behind which it is so."""
    found = _listing(target)
    states = {item.spec.instrument_id: decoding.state(item.state) for item in found.instruments}
    return Seen(states, found.engine_seq)


def described(target: str) -> dict[int, Known]:
    """Instrument number to what the engine says of it, of everything that it lists."""
    return {
        item.spec.instrument_id: Known(
            decoding.state(item.state), item.spec.max_price_ticks, item.spec.max_qty_lots
        )
        for item in _instruments(target)
    }


def _instruments(target: str) -> Sequence[types_pb2.Instrument]:
    listed: Sequence[types_pb2.Instrument] = _listing(target).instruments
    return listed


def _listing(target: str) -> market_data_pb2.InstrumentList:
    with _channel(target) as channel:
        return market_data_pb2_grpc.MarketDataStub(channel).ListInstruments(types_pb2.Empty(), timeout=CALL_S)


def put_asset(target: str, *, number: int, code: str, decimals: int) -> None:
    """Make an asset known; the same again changes nothing."""
    spec = types_pb2.AssetSpec(asset_id=number, symbol=code, decimals=decimals)
    with _channel(target) as channel:
        _done(
            admin_pb2_grpc.AdminStub(channel).PutAsset(admin_pb2.PutAssetRequest(asset=spec), timeout=CALL_S)
        )


def put_instrument(target: str, listing: Listing, *, base: int, quote: int) -> None:
    """List a market, or correct its terms; a new one stands halted. A band that was set on it stays."""
    scale = listing.scale
    known = next(
        (item.spec for item in _instruments(target) if item.spec.instrument_id == listing.number),
        types_pb2.InstrumentSpec(),
    )
    spec = types_pb2.InstrumentSpec(
        instrument_id=listing.number,
        kind=types_pb2.INSTRUMENT_KIND_SPOT,
        symbol=scale.symbol,
        base_asset_id=base,
        quote_asset_id=quote,
        base_units_per_lot=scale.lot_units,
        quote_units_per_ticklot=scale.ticklot_units,
        min_price_ticks=1,
        max_price_ticks=listing.max_price_ticks,
        min_qty_lots=1,
        max_qty_lots=listing.max_qty_lots,
        maker_fee_ppm=listing.maker_fee_bps * 100,
        taker_fee_ppm=listing.taker_fee_bps * 100,
        price_band_ppm=known.price_band_ppm,
        reference_price_ticks=known.reference_price_ticks,
    )
    with _channel(target) as channel:
        request = admin_pb2.PutInstrumentRequest(instrument=spec)
        _done(admin_pb2_grpc.AdminStub(channel).PutInstrument(request, timeout=CALL_S))


def bands(target: str) -> dict[int, Band]:
    """Instrument number to its price band, of everything that the engine lists."""
    return {
        item.spec.instrument_id: Band(item.spec.price_band_ppm, item.spec.reference_price_ticks)
        for item in _instruments(target)
    }


def set_band(target: str, *, instrument: int, band: Band, reference: bytes = b"") -> None:
    """Orders beyond the band are refused from now on. A reference counts until the next trade; 0 leaves the
    last one, and the last trade, as they are.
    """
    request = admin_pb2.SetPriceBandRequest(
        instrument_id=instrument,
        price_band_ppm=band.ppm,
        reference_price_ticks=band.reference_ticks,
        reference=reference,
    )
    with _channel(target) as channel:
        _done(admin_pb2_grpc.AdminStub(channel).SetPriceBand(request, timeout=CALL_S))


def set_fees(target: str, *, account: int, own: Rates | None, reference: bytes = b"") -> None:
    """The account pays these from now on, on every market; None: the market's own. The same again changes
    nothing.
    """
    maker, taker = own or (0, 0)
    request = admin_pb2.SetAccountFeesRequest(
        account_id=account,
        maker_fee_ppm=maker,
        taker_fee_ppm=taker,
        default_fees=own is None,
        reference=reference,
    )
    with _channel(target) as channel:
        _done(admin_pb2_grpc.AdminStub(channel).SetAccountFees(request, timeout=CALL_S))


def set_state(target: str, *, instrument: int, state: str, reference: bytes = b"", seen_seq: int = 0) -> None:
    """Open, halt or restrict a market; the same state again changes nothing. Overtaken where its state has
    changed since it was seen; 0 sets it whatever it is.
    """
    number = types_pb2.InstrumentState.Value(f"INSTRUMENT_STATE_{state.upper()}")
    request = admin_pb2.SetInstrumentStateRequest(
        instrument_id=instrument, state=number, reference=reference, seen_seq=seen_seq
    )
    with _channel(target) as channel:
        _done(admin_pb2_grpc.AdminStub(channel).SetInstrumentState(request, timeout=CALL_S))


def run_auction(target: str, *, instrument: int, seen_seq: int = 0) -> None:
    """Let everything that crosses trade at one price, then open. EngineRefused where no auction collects, or
    its price lies outside the band; Overtaken where it is another auction than the one that was seen.
    """
    request = admin_pb2.RunAuctionRequest(
        instrument_id=instrument,
        then=types_pb2.InstrumentState.Value("INSTRUMENT_STATE_OPEN"),
        seen_seq=seen_seq,
    )
    with _channel(target) as channel:
        _done(admin_pb2_grpc.AdminStub(channel).RunAuction(request, timeout=CALL_S))


def confirm(target: str, *, epoch: int) -> None:
    """Let the leader of this epoch take orders. EngineRefused where another one leads by now."""
    with _channel(target) as channel:
        request = admin_pb2.ConfirmRequest(epoch=epoch)
        _done(admin_pb2_grpc.AdminStub(channel).Confirm(request, timeout=CALL_S))


def release(target: str) -> None:
    """Have it refuse orders, make everything durable, let go of its journal and end. EngineAway."""
    with _channel(target) as channel:
        request = admin_pb2.DrainRequest(release_journal=True, retry_after_ms=500)
        admin_pb2_grpc.AdminStub(channel).Drain(request, timeout=CALL_S)


def take_over(standby: str, *, wait_s: float) -> None:
    """Have a standby lead once the journal is free. One that does so by itself may have been quicker."""
    request = admin_pb2.TakeOverRequest(wait_ms=int(wait_s * 1000))
    with open_channel(standby) as channel:
        try:
            _done(admin_pb2_grpc.AdminStub(channel).TakeOver(request, timeout=wait_s + CALL_S))
        except grpc.RpcError as error:
            quicker = error.code() is grpc.StatusCode.FAILED_PRECONDITION  # type: ignore[attr-defined]
            if not quicker and not is_away(error):
                raise


def _done(answer: admin_pb2.AdminResult) -> None:
    code = decoding.code(answer.code)
    if code is ResultCode.OVERTAKEN:
        raise Overtaken(answer.detail)
    if code not in DONE:
        raise EngineRefused(f"{code}: {answer.detail}" if answer.detail else str(code))


@contextmanager
def _channel(target: str) -> Iterator[grpc.Channel]:
    with open_channel(target) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            raise failure(error) from None
