"""From the domain to the wire."""

from __future__ import annotations

from typing import Final

from engine_bridge.domain.commands import CancelOrder, Command, MoveFunds, PlaceOrder
from engine_bridge.domain.orders import OrderType, Side, StpMode
from engine_bridge.wire import order_entry_pb2, transfers_pb2, types_pb2

_LOW: Final = 2**64 - 1

_SIDES: Final = {Side.BUY: types_pb2.SIDE_BUY, Side.SELL: types_pb2.SIDE_SELL}
_STP: Final = {
    StpMode.CANCEL_MAKER: types_pb2.STP_MODE_CANCEL_MAKER,
    StpMode.CANCEL_TAKER: types_pb2.STP_MODE_CANCEL_TAKER,
    StpMode.CANCEL_BOTH: types_pb2.STP_MODE_CANCEL_BOTH,
}
_KINDS: Final = {OrderType.MARKET: types_pb2.ORDER_KIND_MARKET}
_TIF: Final = {
    OrderType.MARKET: types_pb2.TIME_IN_FORCE_IOC,
    OrderType.IOC: types_pb2.TIME_IN_FORCE_IOC,
    OrderType.FOK: types_pb2.TIME_IN_FORCE_FOK,
}


def command(value: Command) -> order_entry_pb2.Command:
    """A command; its place in the session is filled in when it is sent."""
    wire = order_entry_pb2.Command(command_id=value.command_id.bytes, expires_at_ms=value.expires_at_ms)
    match value:
        case PlaceOrder():
            _place(wire.new_order, value)
        case CancelOrder():
            wire.cancel.order_id = value.order_id
            wire.cancel.account_id = value.account_id
    return wire


def _place(wire: order_entry_pb2.NewOrder, value: PlaceOrder) -> None:
    terms = value.terms
    wire.order_id = value.order_id
    wire.instrument_id = value.instrument_id
    wire.side = _SIDES[terms.side]
    wire.kind = _KINDS.get(terms.order_type, types_pb2.ORDER_KIND_LIMIT)
    wire.tif = _TIF.get(terms.order_type, types_pb2.TIME_IN_FORCE_GTC)
    wire.post_only = terms.order_type is OrderType.POST_ONLY
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
