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
        wire.command_id = command.command_id.int.to_bytes(16, "big")
        wire.expires_at_ms = command.expires_at_ms
        if isinstance(command, PlaceOrder):
            _place(wire.new_order, command)
        else:
            cancel = wire.cancel
            cancel.order_id = command.order_id
            cancel.account_id = command.account_id
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


def _place(wire: order_entry_pb2.NewOrder, value: PlaceOrder) -> None:
    _, _, order_id, instrument_id, account_id, terms = value
    wire.order_id = order_id
    wire.instrument_id = instrument_id
    wire.side = _SIDES[terms.side]
    wire.kind, wire.tif, wire.post_only = _TYPES[terms.order_type]
    wire.price_ticks = terms.price_ticks
    wire.qty_lots = terms.qty_lots
    wire.budget_ticklots = terms.budget_ticklots
    wire.account_id = wire.owner_ref = wire.stp_group = account_id
    wire.stp = _STP[terms.stp]


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
