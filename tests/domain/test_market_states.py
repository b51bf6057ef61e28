"""States and codes of the venue's edge ..."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import endings
from core.ids import new_id
from engine_bridge.adapters import client, decoding
from engine_bridge.domain import results
from engine_bridge.domain.commands import (
    CANCELLATION_LIFETIME_MS,
    ORDER_LIFETIME_MS,
    client_mark,
    mark_of,
    marked,
)
from engine_bridge.domain.markets import LISTINGS, worst_price
from engine_bridge.domain.orders import Side
from engine_bridge.domain.results import ResultCode
from engine_bridge.domain.transfers import NEXT, IllegalMove, TransferState, move
from engine_bridge.wire import event_feed_pb2, types_pb2


def test_know_every_result_code_of_the_contract() -> None:
    names = {name.removeprefix("RESULT_CODE_") for name in types_pb2.ResultCode.keys()}  # noqa: SIM118
    assert names - {"UNSPECIFIED"} == {code.value for code in ResultCode}


def test_give_every_end_of_an_order_a_source() -> None:
    names = {name.removeprefix("DONE_REASON_") for name in types_pb2.DoneReason.keys()}  # noqa: SIM118
    assert names - {"UNSPECIFIED"} == set(results.DONE_SOURCES) | results.FILLED_REASONS


def test_know_every_kind_of_event_and_pass_over_none_that_they_do_not() -> None:
    """To skip one could lose money; settlement stands instead."""
    kinds = {field.name for field in event_feed_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert set(decoding._READERS) == kinds
    field_127_of_two_bytes = b"\xfa\x07\x02\x08\x01"
    newer = event_feed_pb2.Event(event_seq=7).SerializeToString() + field_127_of_two_bytes
    with pytest.raises(decoding.Undecodable, match="event 7 is of no known kind"):
        decoding.batch(event_feed_pb2.EventBatch(events=[event_feed_pb2.Event.FromString(newer)]))
    with pytest.raises(decoding.Undecodable):
        decoding.code(9_999)


def test_guess_at_no_word_of_the_contract() -> None:
    """What it guessed would be booked as if the engine had said it."""
    feed: Any = event_feed_pb2
    accepted, done, changed = feed.OrderAccepted, feed.OrderDone, feed.InstrumentChanged
    limit = {"side": 1, "kind": 1, "tif": 1, "stp": 1, "command_id": bytes(16)}
    known = [
        {"accepted": accepted(**limit)},
        {"done": done(reason=1)},
        {"instrument": changed(instrument={"state": 1})},
    ]
    for body in known:
        decoding.event(feed.Event(event_seq=7, **body))
    for number in (0, 99):
        wrong = [{"accepted": accepted(**limit | {word: number})} for word in ("side", "kind", "tif", "stp")]
        wrong += [{"done": done(reason=number)}, {"instrument": changed(instrument={"state": number})}]
        for body in wrong:
            with pytest.raises(decoding.Undecodable, match=rf"\b{number}\b"):
                decoding.event(feed.Event(event_seq=7, **body))


@pytest.mark.parametrize("code", list(ResultCode))
def test_acknowledge_only_what_was_taken_or_is_told_as_canceled(code: ResultCode) -> None:
    accepted = code is ResultCode.OK or code in results.CANCELED_AT_ONCE
    assert (results.placed(code)[0] == "0") == accepted
    assert (results.canceled(code)[0] == "0") == (code is ResultCode.OK)


@given(st.lists(st.sampled_from(TransferState), max_size=6))
def test_let_a_transfer_end_once(wanted: list[TransferState]) -> None:
    state, ends = TransferState.PENDING, 0
    for target in wanted:
        if target in NEXT[state]:
            state = move(state, target)
            ends += not NEXT[state]
        else:
            with pytest.raises(IllegalMove):
                move(state, target)
    assert ends <= 1


def test_keep_a_mark_in_a_command_id_that_stays_a_version_7_uuid() -> None:
    fresh = new_id()
    mark = client_mark(7, "abc")
    carried = UUID(int=marked(fresh.int, mark))
    assert mark_of(carried.int) == mark
    assert (carried.version, carried.variant, carried.int >> 80) == (7, fresh.variant, fresh.int >> 80)


def test_have_every_command_expire_well_inside_what_the_engine_remembers() -> None:
    """So that afterwards the engine's word that it knows no such command means that there never was one."""
    rules = (Path(__file__).parents[2] / "engine/venue/src/dedupe.rs").read_text()
    (longest,) = re.findall(r"const LIFETIME_MS_MAX: u64 = ([\d_]+);", rules)
    (times,) = re.findall(r"const WINDOW_MS: u64 = (\d+) \* LIFETIME_MS_MAX;", rules)
    assert 4 * max(ORDER_LIFETIME_MS, CANCELLATION_LIFETIME_MS) <= int(longest) < int(times) * int(longest)


def test_have_an_order_expire_once_its_sender_has_asked_what_came_of_it_and_not_much_later() -> None:
    """And before somebody who freezes is told that nobody knows."""
    # Other tests give the engine more time: what stands in the file counts.
    waits = re.findall(
        r"^(?:ANSWER|QUERY)_S: Final = ([\d.]+)$", Path(client.__file__).read_text(), re.MULTILINE
    )
    asked_ms = 1000 * sum(map(float, waits))
    assert len(waits) == 2
    assert asked_ms < ORDER_LIFETIME_MS <= asked_ms + 1_000
    assert 2 * ORDER_LIFETIME_MS < endings.PATIENCE_MS


def test_mark_one_name_differently_for_two_accounts() -> None:
    assert client_mark(1, "abc") != client_mark(2, "abc")
    assert client_mark(1, "abc") == client_mark(1, "abc")
    assert mark_of(2**128 - 1) == 2**62 - 1


@given(st.sampled_from(Side), st.integers(1, 10**8))
def test_collar_a_market_order_within_five_percent(side: Side, best: int) -> None:
    worst = worst_price(side, best, largest=10**8)
    if side is Side.BUY:
        assert best <= worst <= best * 105 // 100
    else:
        assert best * 95 <= worst * 100 <= best * 100 + 100
    assert 1 <= worst <= 10**8


def test_price_a_market_order_into_an_empty_book_where_nothing_can_match() -> None:
    assert worst_price(Side.BUY, 0, largest=10**8) == 1
    assert worst_price(Side.SELL, 0, largest=10**8) == 10**8


def test_list_each_market_under_a_number_of_its_own() -> None:
    assert len({listing.number for listing in LISTINGS}) == len(LISTINGS)
    assert all(listing.number > 0 for listing in LISTINGS)
