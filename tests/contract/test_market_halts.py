"""A market that must stop ..."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from core import clock
from core.actor import system
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.freezes import Frozen
from core.freezes.actions import ask_release, pull_freeze
from core.freezes.events import FreezePulled
from core.refusals import NotAllowed
from engine_bridge import gateway, listing, subscribers, tasks
from engine_bridge.actions import ask_market_release, rebuild_mirrors, stop_market
from engine_bridge.actions.entitled import ReasonMissing
from engine_bridge.actions.halts import NotStopped, UnknownStop
from engine_bridge.domain.markets import CALL
from engine_bridge.domain.results import Result, ResultCode
from engine_bridge.models import Fill, Instrument
from tests.officers import Staff
from tests.traders import Trader
from tests.trading import account, code_of, maker, mirrors, place, sound, taker, terms
from tests.venue import Venue, engine_running, venue_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def venue(db: None) -> Iterator[Venue]:
    with venue_open() as opened:
        yield opened


@pytest.fixture
def tom(venue: Venue) -> Trader:
    return maker(venue)


def state() -> tuple[str, str]:
    row = Instrument.objects.get()
    return row.state, row.wanted_state


def stop(staff: Staff, now: datetime, to: str = "halted") -> None:
    stop_market(symbol="BTC-USDT", state=to, reason="prices look wrong", actor=staff.sam.actor, now=now)


def signed(staff: Staff, request: ApprovalRequest, now: datetime) -> None:
    for officer in (staff.ben, staff.cy):
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)


def test_stops_when_one_officer_says_so(venue: Venue, tom: Trader, staff: Staff, now: datetime) -> None:
    resting = place(tom, terms("sell", "0.1", "40000"))[0]
    before = AuditEvent.objects.count()
    stop(staff, now, "cancel_only")
    assert AuditEvent.objects.count() - before == 1
    venue.deliver()
    venue.settle()
    assert state() == ("cancel_only", "cancel_only")
    assert code_of(place(tom, terms("sell", "0.1", "40000"))[0]) is ResultCode.INSTRUMENT_STATE
    answer = gateway.cancel(account(tom).pk, [resting.order_id], now=clock.now())[0]
    assert isinstance(answer, Result)
    assert answer.code is ResultCode.OK


def test_stops_even_if_the_message_is_lost(venue: Venue, staff: Staff, now: datetime) -> None:
    stop(staff, now)
    tasks.assert_market_states(now=now)
    venue.settle()
    assert state() == ("halted", "halted")


def test_starts_again_when_two_others_agree(venue: Venue, tom: Trader, staff: Staff, now: datetime) -> None:
    stop(staff, now)
    venue.deliver()
    request = ask_market_release(symbol="BTC-USDT", reason="feed repaired", actor=staff.ana.actor, now=now)
    for officer in (staff.ben, staff.cy):
        venue.settle()
        assert state() == ("halted", "halted")
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)
    venue.deliver()
    venue.settle()
    assert state() == ("auction", "open")
    assert code_of(place(tom, terms("sell", "0.1", "40000"))[0]) is ResultCode.OK


def test_goes_into_its_auction_though_settlement_has_not_heard_of_the_stop(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    stop(staff, now)
    venue.deliver()
    request = ask_market_release(symbol="BTC-USDT", reason="feed repaired", actor=staff.ana.actor, now=now)
    for officer in (staff.ben, staff.cy):
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)
    assert state() == ("open", "open")
    venue.deliver()
    venue.settle()
    assert state() == ("auction", "open")


def test_opens_at_one_price_after_its_call_auction(
    venue: Venue, tom: Trader, staff: Staff, now: datetime
) -> None:
    tia = taker(venue)
    stop(staff, now)
    venue.deliver()
    venue.settle()
    request = ask_market_release(symbol="BTC-USDT", reason="feed repaired", actor=staff.ana.actor, now=now)
    for officer in (staff.ben, staff.cy):
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)
    venue.deliver()
    venue.settle()
    # They cross, and wait: nobody is the first to be read.
    place(tom, terms("sell", "0.2", "39000"))
    place(tia, terms("buy", "0.1", "41000"))
    place(tia, terms("buy", "0.1", "40000"))
    before = now + CALL - timedelta(seconds=1)
    tasks.assert_market_states(now=before)
    venue.settle()
    assert (state(), Fill.objects.count()) == (("auction", "open"), 0)
    tasks.assert_market_states(now=now + CALL)
    venue.settle()
    assert state() == ("open", "open")
    fills = list(Fill.objects.order_by("pk"))
    assert len(fills) == 4
    assert all(fill.auction for fill in fills)
    assert len({fill.price_ticks for fill in fills}) == 1
    # Nobody took: both sides paid 8 basis points of what they received, rounded up.
    # A message that comes late, or twice, sends an open market into no other auction.
    tasks.assert_market_state(instrument=Instrument.objects.get().pk, now=now + CALL)
    venue.settle()
    assert state() == ("open", "open")
    bought = next(fill for fill in fills if fill.side == "buy")
    assert bought.fee_units == 8 * 10_000_000 // 10_000
    place(tom, terms("sell", "0.01", "40000"))
    place(tia, terms("buy", "0.01", "40000"))
    venue.settle()
    assert not Fill.objects.order_by("-pk")[0].auction
    assert sound()
    mirrored = mirrors()
    rebuild_mirrors(typed="rebuild", reason="a test", actor=staff.sam.actor, now=clock.now())
    venue.settle()
    assert mirrors() == mirrored


def test_is_stopped_again_in_the_middle_of_its_auction(
    venue: Venue, tom: Trader, staff: Staff, now: datetime
) -> None:
    stop(staff, now)
    venue.deliver()
    venue.settle()
    request = ask_market_release(symbol="BTC-USDT", reason="feed repaired", actor=staff.ana.actor, now=now)
    for officer in (staff.ben, staff.cy):
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)
    venue.deliver()
    venue.settle()
    assert state() == ("auction", "open")
    stop(staff, now)
    venue.deliver()
    tasks.assert_market_states(now=now + CALL)
    venue.settle()
    assert state() == ("halted", "halted")


def test_obeys_what_was_wanted_last_whatever_message_comes_first(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    stop(staff, now, "cancel_only")
    stop(staff, now, "halted")
    number = Instrument.objects.get().pk
    for _ in range(2):
        tasks.assert_market_state(instrument=number, now=now)
    venue.settle()
    assert state() == ("halted", "halted")


def test_is_frozen_for_whatever_comes_by_another_door_than_the_api(
    venue: Venue, tom: Trader, staff: Staff, now: datetime
) -> None:
    """Nobody is kept in, nothing is matched; and what lets go of the freeze does not open the market."""
    tia = taker(venue)
    resting = place(tom, terms("sell", "0.1", "40000"))[0]
    freeze = pull_freeze(scope="market:BTC-USDT", reason="odd prices", actor=staff.sam.actor, now=now)
    venue.deliver()  # the freeze, which wants it stopped
    venue.deliver()  # and what is wanted
    venue.settle()
    assert state() == ("cancel_only", "cancel_only")
    told = AuditEvent.objects.count()
    for message in (FreezePulled(freeze="", scope=scope) for scope in ("market:BTC-USDT", "trader-api")):
        subscribers.stop_frozen_markets(message, now=now)
    assert AuditEvent.objects.count() == told
    assert code_of(place(tia, terms("buy", "0.1", "40000"))[0]) is ResultCode.INSTRUMENT_STATE
    (answer,) = gateway.cancel(account(tom).pk, [resting.order_id], now=clock.now())
    assert isinstance(answer, Result)
    assert answer.code is ResultCode.OK
    with pytest.raises(Frozen):
        ask_market_release(symbol="BTC-USDT", reason="prices agree", actor=staff.ana.actor, now=now)
    stop(staff, now)
    signed(staff, ask_release(freeze_id=freeze.pk, reason="they agree", actor=staff.ana.actor, now=now), now)
    tasks.assert_market_states(now=now)
    venue.settle()
    assert state() == ("halted", "halted")
    signed(
        staff,
        ask_market_release(symbol="BTC-USDT", reason="prices agree", actor=staff.ana.actor, now=now),
        now,
    )
    subscribers.stop_frozen_markets(FreezePulled(freeze="", scope="market:BTC-USDT"), now=now)
    tasks.assert_market_states(now=now)
    venue.settle()
    assert state() == ("auction", "open")


def test_is_frozen_though_no_message_says_so_and_before_it_is_listed(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    pull_freeze(scope="market:BTC-USDT", reason="odd prices", actor=staff.sam.actor, now=now)
    Instrument.objects.update(symbol="OLD-USDT")
    tasks.assert_market_states(now=now)
    assert state() == ("open", "")
    Instrument.objects.update(symbol="BTC-USDT")
    tasks.assert_market_states(now=now)
    venue.settle()
    assert state() == ("cancel_only", "cancel_only")
    Instrument.objects.update(wanted_state="")
    with engine_running() as other:
        put = listing.put_all(f"unix:{other.admin}", actor=system("test"), now=now)
        assert list(put) == [("BTC-USDT", "halted")]
    assert Instrument.objects.get().wanted_state == "cancel_only"


def test_is_not_stopped_by_everybody_or_for_no_reason(venue: Venue, staff: Staff, now: datetime) -> None:
    with pytest.raises(NotAllowed):
        stop_market(symbol="BTC-USDT", state="halted", reason="x", actor=staff.dot.actor, now=now)
    with pytest.raises(ReasonMissing):
        stop_market(symbol="BTC-USDT", state="halted", reason=" ", actor=staff.sam.actor, now=now)
    with pytest.raises(UnknownStop):
        stop(staff, now, "open")
    with pytest.raises(NotStopped):
        ask_market_release(symbol="BTC-USDT", reason="x", actor=staff.sam.actor, now=now)
    assert state() == ("open", "")


def test_is_not_opened_by_an_engine_that_begins_anew(venue: Venue, staff: Staff, now: datetime) -> None:
    stop(staff, now)
    with engine_running() as other:
        put = listing.put_all(f"unix:{other.admin}", actor=system("test"), now=now)
        assert list(put) == [("BTC-USDT", "halted")]
