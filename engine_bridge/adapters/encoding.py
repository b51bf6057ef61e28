"""From the domain to the wire."""

from __future__ import annotations

from collections.abc import Sequence
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


_BATCH, _COMMANDS, _SESSION_SEQ = b"\x12", b"\x0a", b"\x10"
"""Tags: ClientFrame.batch, CommandBatch.commands, Command.session_seq."""


def command(value: Command) -> bytes:
    """A command of its own; its place in the session is added when it is sent."""
    wire = order_entry_pb2.Command()
    fill(wire, value)
    return wire.SerializeToString()


def frame(commands: Sequence[bytes], *, first_seq: int) -> bytes:
    """A ClientFrame with these commands under consecutive numbers.

    Written by hand: a command is serialised once, by its caller, and sent again byte for byte, where messages
    would be copied into the batch and serialised there.
    """
    parts: list[bytes] = []
    for number, body in enumerate(commands, first_seq):
        place = _varint(number)
        parts += (_COMMANDS, _varint(len(body) + len(_SESSION_SEQ) + len(place)), body, _SESSION_SEQ, place)
    batch = b"".join(parts)
    return _BATCH + _varint(len(batch)) + batch


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _BYTES[value]
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


_BYTES: Final = [bytes([value]) for value in range(0x80)]


def fill(wire: order_entry_pb2.Command, value: Command) -> None:
    """Write a command into an empty message, such as one that was just added to a batch."""
    wire.command_id = value.command_id.bytes
    wire.expires_at_ms = value.expires_at_ms
    if isinstance(value, PlaceOrder):
        _place(wire.new_order, value)
    else:
        cancel = wire.cancel
        cancel.order_id = value.order_id
        cancel.account_id = value.account_id


def _place(wire: order_entry_pb2.NewOrder, value: PlaceOrder) -> None:
    terms = value.terms
    wire.order_id = value.order_id
    wire.instrument_id = value.instrument_id
    wire.side = _SIDES[terms.side]
    wire.kind, wire.tif, wire.post_only = _TYPES[terms.order_type]
    wire.price_ticks = terms.price_ticks
    wire.qty_lots = terms.qty_lots
    wire.budget_ticklots = terms.budget_ticklots
    wire.account_id = wire.owner_ref = wire.stp_group = value.account_id
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
