"""What the bridge writes of a command ..."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_bridge.adapters import decoding, encoding
from engine_bridge.domain.commands import CancelOrder, Command, MoveFunds, PlaceOrder
from engine_bridge.domain.orders import OrderTerms, OrderType, Side, StpMode
from engine_bridge.wire import order_entry_pb2, transfers_pb2, types_pb2

_WORDS = st.integers(0, 2**64 - 1)
_IDS = st.integers(0, 2**128 - 1)
_NUMBERS = st.integers(1, 2**64 - 1)
_PLACES = st.builds(
    PlaceOrder,
    command_id=_IDS,
    expires_at_ms=_WORDS,
    order_id=_WORDS,
    instrument_id=st.integers(0, 2**32 - 1),
    account_id=_WORDS,
    terms=st.builds(
        OrderTerms,
        side=st.sampled_from(Side),
        order_type=st.sampled_from(OrderType),
        price_ticks=st.integers(-(2**63), 2**63 - 1),
        qty_lots=_WORDS,
        budget_ticklots=_WORDS,
        client_id=st.just(""),
        tag=st.just(""),
        stp=st.sampled_from(StpMode),
        quote_sized=st.booleans(),
    ),
)
_CANCELS = st.builds(CancelOrder, _IDS, _WORDS, _WORDS, _WORDS)


_KINDS = {
    OrderType.LIMIT: ("LIMIT", "GTC", False),
    OrderType.POST_ONLY: ("LIMIT", "GTC", True),
    OrderType.IOC: ("LIMIT", "IOC", False),
    OrderType.FOK: ("LIMIT", "FOK", False),
    OrderType.MARKET: ("MARKET", "IOC", False),
}


def wire(command: Command, number: int) -> order_entry_pb2.Command:
    """The command as the contract's own classes say it, every field by its name."""
    head = {"command_id": command.command_id.to_bytes(16), "expires_at_ms": command.expires_at_ms}
    if isinstance(command, CancelOrder):
        body = order_entry_pb2.CancelOrder(order_id=command.order_id, account_id=command.account_id)
        return order_entry_pb2.Command(session_seq=number, cancel=body, **head)
    terms, account = command.terms, command.account_id
    kind, tif, post_only = _KINDS[terms.order_type]
    placed = order_entry_pb2.NewOrder(
        order_id=command.order_id,
        instrument_id=command.instrument_id,
        side=types_pb2.Side.Value(f"SIDE_{terms.side.name}"),
        kind=types_pb2.OrderKind.Value(f"ORDER_KIND_{kind}"),
        tif=types_pb2.TimeInForce.Value(f"TIME_IN_FORCE_{tif}"),
        post_only=post_only,
        price_ticks=terms.price_ticks,
        qty_lots=terms.qty_lots,
        budget_ticklots=terms.budget_ticklots,
        owner_ref=account,
        stp_group=account,
        stp=types_pb2.StpMode.Value(f"STP_MODE_{terms.stp.name}"),
        account_id=account,
    )
    return order_entry_pb2.Command(session_seq=number, new_order=placed, **head)


@given(commands=st.lists(_PLACES | _CANCELS, max_size=7), number=_NUMBERS)
def test_says_what_the_generated_classes_would(commands: list[Command], number: int) -> None:
    """With a number in front, as the line writes it (engine/bridge/tests/session.rs)."""
    numbered = order_entry_pb2.Command(session_seq=number).SerializeToString()
    told = [order_entry_pb2.Command.FromString(numbered + body) for body in encoding.commands(commands)]
    assert told == [wire(command, number) for command in commands]


@pytest.mark.parametrize("number", [-1, 2**64])
def test_holds_no_number_that_the_contract_has_no_room_for(number: int) -> None:
    terms = OrderTerms(
        Side.BUY, OrderType.LIMIT, 1, number, 0, "", "", StpMode.CANCEL_MAKER, quote_sized=False
    )
    for command in (CancelOrder(1, 1, number, 1), PlaceOrder(1, 1, 1, 1, 1, terms)):
        with pytest.raises(ValueError, match="is no number of 64 bits"):
            encoding.commands([command])


@given(moved=st.builds(MoveFunds, st.uuids(), _WORDS, st.integers(0, 2**32 - 1), _IDS, st.booleans()))
def test_says_a_transfer_to_its_last_unit(moved: MoveFunds) -> None:
    """Eighteen decimals take more than 64 bits from 19 coins on."""
    wire = transfers_pb2.Transfer.FromString(encoding.transfer(moved).SerializeToString())
    units, told = decoding.wide(wire.units_hi, wire.units_lo), UUID(bytes=wire.transfer_id)
    assert MoveFunds(told, wire.account_id, wire.asset_id, units, wire.into_venue) == moved
    assert units == (wire.units_hi << 64) + wire.units_lo
