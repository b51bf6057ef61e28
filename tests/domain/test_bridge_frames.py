"""A frame that the bridge writes by hand ..."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from engine_bridge.adapters import encoding
from engine_bridge.domain.commands import CancelOrder, Command, PlaceOrder
from engine_bridge.domain.orders import OrderTerms, OrderType, Side, StpMode
from engine_bridge.wire import order_entry_pb2

_WORDS = st.integers(0, 2**64 - 1)
_PLACES = st.builds(
    PlaceOrder,
    command_id=st.uuids(),
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
_CANCELS = st.builds(CancelOrder, st.uuids(), _WORDS, _WORDS, _WORDS)


@given(commands=st.lists(_PLACES | _CANCELS, max_size=20), first_seq=st.integers(1, 2**64 - 21))
def test_says_what_the_generated_classes_would(commands: list[Command], first_seq: int) -> None:
    batch = order_entry_pb2.CommandBatch()
    for number, command in enumerate(commands, first_seq):
        encoding.fill(batch.commands.add(session_seq=number), command)
    frame = encoding.frame([encoding.command(command) for command in commands], first_seq=first_seq)
    assert order_entry_pb2.ClientFrame.FromString(frame) == order_entry_pb2.ClientFrame(batch=batch)


def test_repeats_a_command_byte_for_byte_under_another_number() -> None:
    command = encoding.command(CancelOrder(UUID(int=7), 1_000, 5, 6))
    frames = [encoding.frame([command], first_seq=number) for number in (1, 300)]
    assert all(command in frame for frame in frames)
    assert frames[0] != frames[1]
