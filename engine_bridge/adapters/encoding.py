"""From the domain to the wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


_BATCH: Final = b"\x12"
"""The tag of ClientFrame.batch."""


def batch(commands: Iterable[Command]) -> order_entry_pb2.CommandBatch:
    """The commands, in one message. Their numbers in the session are added when they are sent."""
    found = order_entry_pb2.CommandBatch()
    add = found.commands.add
    for command in commands:
        wire = add()
        if isinstance(command, PlaceOrder):
            command_id, wire.expires_at_ms, order_id, instrument_id, account_id, terms = command
            order = wire.new_order
            order.order_id = order_id
            order.instrument_id = instrument_id
            order.side = _SIDES[terms.side]
            order.kind, order.tif, post_only = _TYPES[terms.order_type]
            if post_only:
                order.post_only = True
            order.price_ticks = terms.price_ticks
            order.qty_lots = terms.qty_lots
            if terms.budget_ticklots:
                order.budget_ticklots = terms.budget_ticklots
            order.account_id = order.owner_ref = order.stp_group = account_id
            order.stp = _STP[terms.stp]
        else:
            command_id, wire.expires_at_ms, order_id, account_id = command
            cancel = wire.cancel
            cancel.order_id = order_id
            cancel.account_id = account_id
        wire.command_id = command_id.int.to_bytes(16, "big")
    return found


def frame(batches: Sequence[bytes]) -> bytes:
    """A ClientFrame that holds the commands of all these batches. Messages written one behind the other are
    read as one, so nothing is copied into another message to be sent.
    """
    commands = b"".join(batches)
    return _BATCH + _varint(len(commands)) + commands


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


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
