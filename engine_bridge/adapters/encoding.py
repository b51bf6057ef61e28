"""From the domain to the wire.

Commands are written as protobuf's own bytes, field by field: to fill a message for each and have it written
took half as long again, and kept three objects for the collector. The generated classes say the same, and a
test compares.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from engine_bridge.domain.commands import Command, MoveFunds, PlaceOrder
from engine_bridge.domain.orders import OrderType, Side, StpMode
from engine_bridge.wire import order_entry_pb2, transfers_pb2, types_pb2

_LOW: Final = 2**64 - 1

_SIDES: Final = {Side.BUY: types_pb2.SIDE_BUY, Side.SELL: types_pb2.SIDE_SELL}
_STP: Final = {
    StpMode.CANCEL_MAKER: types_pb2.STP_MODE_CANCEL_MAKER,
    StpMode.CANCEL_TAKER: types_pb2.STP_MODE_CANCEL_TAKER,
    StpMode.CANCEL_BOTH: types_pb2.STP_MODE_CANCEL_BOTH,
}
_LIMIT: Final = types_pb2.ORDER_KIND_LIMIT
_TYPES: Final = {
    OrderType.LIMIT: (_LIMIT, types_pb2.TIME_IN_FORCE_GTC, False),
    OrderType.POST_ONLY: (_LIMIT, types_pb2.TIME_IN_FORCE_GTC, True),
    OrderType.IOC: (_LIMIT, types_pb2.TIME_IN_FORCE_IOC, False),
    OrderType.FOK: (_LIMIT, types_pb2.TIME_IN_FORCE_FOK, False),
    OrderType.MARKET: (types_pb2.ORDER_KIND_MARKET, types_pb2.TIME_IN_FORCE_IOC, False),
}


_COMMAND_SIZE_MAX: Final = 256
_BITS: Final = 14
"""Varints are put together from two bytes at a time."""
_WIDTH: Final = 1 << _BITS
_LOW_BITS: Final = _WIDTH - 1
_MORE: Final = [bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(_WIDTH)]
"""Two bytes of a varint that goes on."""
_LAST: Final = [bytes((n,)) if n < 0x80 else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(_WIDTH)]
"""The end of a varint, or all of it."""


def _varint(value: int) -> bytes:
    """An unsigned number; ValueError where it has more than 64 bits."""
    if 0 <= value < _WIDTH:
        return _LAST[value]
    if not 0 <= value <= _LOW:
        raise ValueError(f"{value} is no number of 64 bits")
    return _MORE[value & _LOW_BITS] + _varint(value >> _BITS)


# Tags of Command, each with the sizes that may follow it.
_COMMAND_ID: Final = b"\x0a\x10"
_NEW_ORDER: Final = [b"\x22" + _varint(size) for size in range(_COMMAND_SIZE_MAX)]
_CANCEL: Final = [b"\x2a" + _varint(size) for size in range(_COMMAND_SIZE_MAX)]


def commands(given: Iterable[Command]) -> list[bytes]:
    """Each command as it is sent and sent again, but for its number, which the line puts in front of it.
    ValueError where anything of it is too large.
    """
    found = []
    for command in given:
        if isinstance(command, PlaceOrder):
            command_id, expires_at_ms, order_id, instrument_id, account_id, terms = command
            price = terms.price_ticks
            body = (
                b"\x08" + _varint(order_id)
                + b"\x38" + _varint(price << 1 if price >= 0 else (-price << 1) - 1)
                + b"\x40" + _varint(terms.qty_lots)
                + _usual(instrument_id, account_id, terms.side, terms.order_type, terms.stp)
            )  # fmt: skip
            if terms.budget_ticklots:
                body += b"\x48" + _varint(terms.budget_ticklots)
            head = _NEW_ORDER[len(body)]
        else:
            command_id, expires_at_ms, order_id, account_id = command
            body = b"\x08" + _varint(order_id) + b"\x10" + _varint(account_id)
            head = _CANCEL[len(body)]
        found.append(_COMMAND_ID + command_id.to_bytes(16, "big") + _expiry(expires_at_ms) + head + body)
    return found


@lru_cache(4096)
def _usual(instrument_id: int, account_id: int, side: Side, order_type: OrderType, stp: StpMode) -> bytes:
    """The fields of a NewOrder that one account's orders in one market have in common."""
    kind, tif, post_only = _TYPES[order_type]
    sent: bytes = order_entry_pb2.NewOrder(
        instrument_id=instrument_id,
        account_id=account_id,
        owner_ref=account_id,
        stp_group=account_id,
        side=_SIDES[side],
        kind=kind,
        tif=tif,
        post_only=post_only,
        stp=_STP[stp],
    ).SerializeToString()
    return sent


@lru_cache(256)
def _expiry(expires_at_ms: int) -> bytes:
    return b"\x18" + _varint(expires_at_ms)


def transfer(value: MoveFunds) -> transfers_pb2.Transfer:
    """A transfer."""
    return transfers_pb2.Transfer(
        transfer_id=value.transfer_id.bytes,
        account_id=value.account_id,
        asset_id=value.asset_id,
        into_venue=value.into_venue,
        units_hi=value.units >> 64,
        units_lo=value.units & _LOW,
    )
