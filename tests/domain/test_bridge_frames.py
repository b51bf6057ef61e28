"""What the bridge sends in one frame ..."""

from __future__ import annotations

import itertools
from random import Random
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_bridge.adapters import session
from engine_bridge.adapters.channel import EngineBusy
from engine_bridge.adapters.session import BATCH_MAX, FRAMES_IN_FLIGHT_MAX, Session
from engine_bridge.adapters.ticket import Frame, Ticket, runs
from engine_bridge.domain.commands import CancelOrder, Command, PlaceOrder
from engine_bridge.domain.orders import OrderTerms, OrderType, Side, StpMode
from engine_bridge.wire import order_entry_pb2, types_pb2

_WORDS = st.integers(0, 2**64 - 1)
_IDS = st.integers(0, 2**128 - 1)
_NUMBERS = st.integers(1, 2**64 - 50) | st.integers(1, 3).map(lambda turn: turn * 2**14 - 10)
"""Also such as lie where the way in which they are written changes."""
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


_WAITING_MAX = 2_000
_CALLS = st.lists(st.lists(_PLACES | _CANCELS, max_size=7), max_size=5)


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


@given(calls=_CALLS, first_seq=_NUMBERS)
def test_says_what_the_generated_classes_would(calls: list[list[Command]], first_seq: int) -> None:
    expected = [wire(*numbered) for numbered in zip(itertools.chain(*calls), itertools.count(first_seq))]
    sent = [run for commands in calls for run in runs(Ticket(len(commands)), commands, largest=3)]
    frame = Frame(sent, first=first_seq)
    told = order_entry_pb2.ClientFrame.FromString(frame.written())
    assert told == order_entry_pb2.ClientFrame(batch=order_entry_pb2.CommandBatch(commands=expected))
    assert frame.end - frame.first == frame.left == len(expected)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_holds_no_number_that_the_contract_has_no_room_for(number: int) -> None:
    terms = OrderTerms(
        Side.BUY, OrderType.LIMIT, 1, number, 0, "", "", StpMode.CANCEL_MAKER, quote_sized=False
    )
    for command in (CancelOrder(1, 1, number, 1), PlaceOrder(1, 1, 1, 1, 1, terms)):
        with pytest.raises(ValueError, match="is no number of 64 bits"):
            runs(Ticket(1), [command], largest=1)


def test_repeats_a_command_byte_for_byte_under_another_number() -> None:
    alone = runs(Ticket(1), [CancelOrder(7, 1_000, 5, 6)], largest=1)
    sent = []
    for number in (1, 300):
        frame = order_entry_pb2.ClientFrame.FromString(Frame(alone, first=number).written())
        (command,) = frame.batch.commands
        assert command.session_seq == number
        command.ClearField("session_seq")
        sent.append(command.SerializeToString())
    assert sent[0] == sent[1]


class _Engine:
    """The other end of a session: keeps what it was sent, and answers what and when it is told to."""

    def __init__(self) -> None:
        self.open: dict[int, int] = {}
        self.newest = 0

    def send(self, message: bytes) -> None:
        for command in order_entry_pb2.ClientFrame.FromString(message).batch.commands:
            assert command.session_seq == self.newest + 1
            self.newest = command.session_seq
            self.open[command.session_seq] = command.cancel.order_id

    def answer(self, numbers: list[int], *, again: list[int]) -> order_entry_pb2.ResultBatch:
        batch = order_entry_pb2.ResultBatch()
        for number in numbers:
            batch.results.add(session_seq=number, code=1, order_id=self.open.pop(number))
        for number in again:
            batch.results.add(session_seq=number, code=2, order_id=0)
        return batch


@mock.patch.object(session, "WAITING_MAX", _WAITING_MAX)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=6), seed=st.integers(0, 2**32))
def test_gives_every_command_its_own_first_answer_in_whatever_order_and_after_whatever_breaks(
    sizes: list[int], seed: int
) -> None:
    chance = Random(seed)
    line, engine = Session("unix:/nowhere"), _Engine()
    line._resume(engine, 0)  # type: ignore[arg-type]  # all that it needs of a stream
    tickets, withdrawn, told = {}, dict[int, set[int]](), set[int]()
    for index, size in enumerate(sizes):
        commands: list[Command] = [CancelOrder(1, 1, index * 10_000 + at, 7) for at in range(size)]
        ticket = tickets[index] = Ticket(size)
        mine = runs(ticket, commands, largest=BATCH_MAX)
        if line.depth + size <= _WAITING_MAX:
            line.hand_over(ticket, mine)
        else:
            with pytest.raises(EngineBusy):
                line.hand_over(tickets.pop(index), mine)
    while engine.open or line.depth:
        assert len(line._frames) <= FRAMES_IN_FLIGHT_MAX
        act = chance.randrange(10)
        if act == 0:  # the connection breaks, and what was not answered comes again under numbers of its own
            engine.open.clear()
            line._resume(engine, engine.newest)  # type: ignore[arg-type]
        elif act == 1:
            index = chance.choice(list(tickets))
            withdrawn.setdefault(index, set()).update(line.withdraw(tickets[index]))
        else:
            numbers = sorted(engine.open)[: chance.choice([1, 5, 600, 2_000])]
            if act == 2:
                chance.shuffle(numbers)
            told.update(numbers)
            line._settle(engine.answer(numbers, again=chance.sample(sorted(told), min(len(told), 3))))
    for index, ticket in tickets.items():
        taken_back = withdrawn.get(index, set())
        places = {place: answer.order_id for place, answer in enumerate(ticket.answers) if answer is not None}
        assert places == {
            place: index * 10_000 + place for place in range(sizes[index]) if place not in taken_back
        }
        assert ticket.left == len(taken_back)
        assert ticket.wait(0.0) == (not taken_back)
