"""From the wire to the domain. Values that the contract does not know are refused, never guessed."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from uuid import UUID

from engine_bridge.domain import events
from engine_bridge.domain.fees import Rates
from engine_bridge.domain.orders import OrderType, Side, StpMode
from engine_bridge.domain.results import Result, ResultCode, engine_time
from engine_bridge.wire import event_feed_pb2, order_entry_pb2, types_pb2

_Number = TypeVar("_Number", int, tuple[int, int, bool])
_Meaning = TypeVar("_Meaning")

_SIDES: Final[dict[int, Side]] = {types_pb2.SIDE_BUY: Side.BUY, types_pb2.SIDE_SELL: Side.SELL}
_STP: Final[dict[int, StpMode]] = {
    types_pb2.STP_MODE_CANCEL_MAKER: StpMode.CANCEL_MAKER,
    types_pb2.STP_MODE_CANCEL_TAKER: StpMode.CANCEL_TAKER,
    types_pb2.STP_MODE_CANCEL_BOTH: StpMode.CANCEL_BOTH,
}
_TYPES: Final[dict[tuple[int, int, bool], OrderType]] = {
    (types_pb2.ORDER_KIND_LIMIT, types_pb2.TIME_IN_FORCE_GTC, False): OrderType.LIMIT,
    (types_pb2.ORDER_KIND_LIMIT, types_pb2.TIME_IN_FORCE_GTD, False): OrderType.LIMIT,
    (types_pb2.ORDER_KIND_LIMIT, types_pb2.TIME_IN_FORCE_GTC, True): OrderType.POST_ONLY,
    (types_pb2.ORDER_KIND_LIMIT, types_pb2.TIME_IN_FORCE_GTD, True): OrderType.POST_ONLY,
    (types_pb2.ORDER_KIND_LIMIT, types_pb2.TIME_IN_FORCE_IOC, False): OrderType.IOC,
    (types_pb2.ORDER_KIND_LIMIT, types_pb2.TIME_IN_FORCE_FOK, False): OrderType.FOK,
    (types_pb2.ORDER_KIND_MARKET, types_pb2.TIME_IN_FORCE_IOC, False): OrderType.MARKET,
    (types_pb2.ORDER_KIND_MARKET, types_pb2.TIME_IN_FORCE_FOK, False): OrderType.MARKET,
}
_STATES: Final[dict[int, str]] = {
    number: name.removeprefix("INSTRUMENT_STATE_").lower()
    for name, number in types_pb2.InstrumentState.items()
    if number != types_pb2.INSTRUMENT_STATE_UNSPECIFIED
}
SHARD_STATES: Final = {
    number: name.removeprefix("SHARD_STATE_").lower() for name, number in types_pb2.ShardState.items()
}
_CODES: Final = {
    number: ResultCode(name.removeprefix("RESULT_CODE_"))
    for name, number in types_pb2.ResultCode.items()
    if number != types_pb2.RESULT_CODE_UNSPECIFIED
}
_REASONS: Final[dict[int, str]] = {
    number: name.removeprefix("DONE_REASON_")
    for name, number in types_pb2.DoneReason.items()
    if number != types_pb2.DONE_REASON_UNSPECIFIED
}


ANSWER: Final = struct.Struct("@i?Bxx5Q")
"""What the line knows of a command, as engine/bridge/src/ticket.rs lays it out."""
_TOLD, _UNSENT = 1, 2

_tuple: Final = tuple.__new__


class Undecodable(ValueError):
    """The engine speaks of something that this version of the bridge does not know."""


def _known(what: str, meanings: Mapping[_Number, _Meaning], number: _Number) -> _Meaning:
    """What a number of the contract stands for. A guess would be booked as if the engine had said it."""
    try:
        return meanings[number]
    except KeyError:
        raise Undecodable(f"{what} {number}") from None


def code(number: int) -> ResultCode:
    """A result code by its number."""
    return _known("result code", _CODES, number)


def state(number: int) -> str:
    """A market's state by its number."""
    return _known("instrument state", _STATES, number)


def result(wire: order_entry_pb2.CommandResult) -> Result:
    """An answer to a single question about a command."""
    return Result(
        code=code(wire.code),
        engine_seq=wire.engine_seq,
        order_id=wire.order_id,
        filled_lots=wire.filled_lots,
        leaves_lots=wire.leaves_lots,
        duplicate=wire.duplicate,
        engine_time_ns=wire.engine_time_ns,
    )


def answers(known: Any) -> list[Result]:
    """What the line knows of a call, where every command was answered. The tuples are made without their
    class's own constructor, which would cost as much as all the rest.
    """
    try:
        return [
            _tuple(Result, (_CODES[number], seq, order_id, filled, leaves, duplicate, at))
            for number, duplicate, _, seq, order_id, filled, leaves, at in ANSWER.iter_unpack(known)
        ]
    except KeyError as unknown:
        raise Undecodable(f"result code {unknown}") from None


def places(known: Any) -> tuple[list[Result | None], set[int]]:
    """What the line knows of a call whose time is over: each command's answer, if any, and the places of
    those that never left.
    """
    found: list[Result | None] = []
    unsent: set[int] = set()
    for place, row in enumerate(ANSWER.iter_unpack(known)):
        number, duplicate, state, seq, order_id, filled, leaves, at = row
        told = state == _TOLD
        found.append(Result(code(number), seq, order_id, filled, leaves, duplicate, at) if told else None)
        if state == _UNSENT:
            unsent.add(place)
    return found, unsent


def wide(high: int, low: int) -> int:
    """A 128-bit number from its halves."""
    return (high << 64) | low


def units(wire: types_pb2.Amount) -> events.Units:
    """A sum of one asset."""
    return events.Units(wire.asset_id, wide(wire.units_hi, wire.units_lo))


def batch(wire: event_feed_pb2.EventBatch) -> events.Batch:
    """A run of events; Undecodable where one is unknown, since skipping it could lose money."""
    return events.Batch(
        epoch=wire.epoch,
        first_event_seq=wire.first_event_seq,
        events=tuple(event(item) for item in wire.events),
        newest_event_seq=wire.durable_event_seq,
    )


def event(wire: event_feed_pb2.Event) -> events.Event:
    """One event."""
    return events.Event(
        event_seq=wire.event_seq,
        engine_seq=wire.engine_seq,
        at=engine_time(wire.engine_time_ns),
        instrument_id=wire.instrument_id,
        body=_body(wire),
    )


def _body(wire: event_feed_pb2.Event) -> events.Body:
    kind = wire.WhichOneof("body")
    reader = _READERS.get(kind or "")
    if reader is None:
        raise Undecodable(f"event {wire.event_seq} is of no known kind")
    body: events.Body = reader(getattr(wire, kind))
    return body


def _accepted(wire: Any) -> events.Accepted:
    return events.Accepted(
        events.OrderSpec(
            order_id=wire.order_id,
            account_id=wire.account_id,
            side=_known("side", _SIDES, wire.side),
            order_type=_known("order type", _TYPES, (wire.kind, wire.tif, wire.post_only)),
            price_ticks=wire.price_ticks,
            qty_lots=wire.qty_lots,
            budget_ticklots=wire.budget_ticklots,
            stp=_known("STP mode", _STP, wire.stp),
            mark=UUID(bytes=wire.command_id).int & (2**62 - 1),
        ),
        held=units(wire.held),
    )


def _rejected(wire: Any) -> events.Rejected:
    return events.Rejected(wire.order_id, wire.account_id, str(code(wire.code)))


def _trade(wire: Any) -> events.Traded:
    return events.Traded(
        trade_id=wire.trade_id,
        price_ticks=wire.price_ticks,
        qty_lots=wire.qty_lots,
        taker_side=_known("side", _SIDES, wire.taker_side),
        maker=events.TradeSide(
            wire.maker_order_id, wire.maker_account_id, units(wire.maker_fee), units(wire.maker_held)
        ),
        taker=events.TradeSide(
            wire.taker_order_id, wire.taker_account_id, units(wire.taker_fee), units(wire.taker_held)
        ),
        base=units(wire.base),
        quote=units(wire.quote),
        auction=wire.auction,
    )


def _done(wire: Any) -> events.Done:
    return events.Done(
        order_id=wire.order_id,
        reason=_known("done reason", _REASONS, wire.reason),
        filled_lots=wire.filled_lots,
        filled_ticklots=wide(wire.filled_ticklots_hi, wire.filled_ticklots_lo),
        released=units(wire.released),
    )


def _amended(wire: Any) -> events.Amended:
    return events.Amended(wire.order_id, wire.price_ticks, wire.total_qty_lots, units(wire.held))


def _transferred(wire: Any) -> events.TransferClosed:
    return events.TransferClosed(
        UUID(bytes=wire.transfer_id), wire.account_id, wire.into_venue, units(wire.amount)
    )


def _refused(wire: Any) -> events.TransferClosed:
    return events.TransferClosed(
        UUID(bytes=wire.transfer_id),
        wire.account_id,
        wire.into_venue,
        units(wire.amount),
        str(code(wire.code)),
    )


def _instrument(wire: Any) -> events.InstrumentChanged:
    return events.InstrumentChanged(state(wire.instrument.state))


def _fees(wire: Any) -> events.FeesChanged:
    own = None if wire.default_fees else Rates(wire.maker_fee_ppm, wire.taker_fee_ppm)
    return events.FeesChanged(wire.account_id, own)


def _noted(wire: Any) -> events.Noted:
    return events.Noted()


_READERS: Final[dict[str, Any]] = {
    "accepted": _accepted,
    "rejected": _rejected,
    "trade": _trade,
    "done": _done,
    "amended": _amended,
    "amend_rejected": _noted,
    "transfer_applied": _transferred,
    "transfer_rejected": _refused,
    "instrument": _instrument,
    "marker": _noted,
    "auction": _noted,
    "asset": _noted,
    "account": _fees,
}
