"""A leader that begins anew ..."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from core import clock
from core.actor import system
from core.freezes.actions import pull_freeze
from engine_bridge import gateway, listing, probes, queries, tasks
from engine_bridge.actions import stop_market
from engine_bridge.adapters import administration, vitals
from engine_bridge.adapters.channel import EngineAway, EngineRefused
from engine_bridge.adapters.client import _told
from engine_bridge.daemons.settlement import NEVER, SWEEP_EVERY, Settlement
from engine_bridge.domain.results import Result, ResultCode, placed
from engine_bridge.models import Fill
from tests.officers import Staff
from tests.traders import Trader
from tests.trading import account, code_of, maker, place, sound, taker, terms, until
from tests.venue import Venue, engine_running, venue_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def venue(db: None) -> Iterator[Venue]:
    with venue_open(waits=True) as opened:
        yield opened


@pytest.fixture
def tia(venue: Venue) -> Trader:
    """A taker, opposite to whom an order of Tom's rests."""
    resting = place(maker(venue), terms("sell", "0.5", "40000"))[0]
    assert code_of(resting) is ResultCode.OK
    return taker(venue)


def freeze(staff: Staff, now: datetime) -> None:
    pull_freeze(scope="market:BTC-USDT", reason="odd prices", actor=staff.sam.actor, now=now)


def stop(staff: Staff, now: datetime) -> None:
    stop_market(symbol="BTC-USDT", state="halted", reason="prices look wrong", actor=staff.sam.actor, now=now)


def another_leader(venue: Venue) -> None:
    """The journal is all that it knows; and no message of an officer reaches it by itself."""
    venue.engine.kill()
    venue.engine.start()
    until(gateway.is_connected)


def engine_says(venue: Venue) -> tuple[str, bool]:
    target = f"unix:{venue.engine.admin}"
    return administration.listed(target)[1], venue.engine.status().awaits_confirmation


def settled_beside(venue: Venue) -> None:
    """A step of settlement, which has heard that its leader is gone."""
    venue.settlement._asserted = NEVER
    venue.settlement.step()


def takes(trader: Trader) -> ResultCode:
    return code_of(place(trader, terms("buy", "0.1", "40000"))[0])


def is_refused(trader: Trader) -> bool:
    with pytest.raises(EngineAway, match="UNCONFIRMED"):
        place(trader, terms("buy", "0.1", "40000"))
    return True


def test_trades_in_no_market_that_officers_halted_while_nobody_led(
    venue: Venue, tia: Trader, staff: Staff, now: datetime
) -> None:
    venue.engine.kill()
    stop(staff, now)
    venue.engine.start()
    until(gateway.is_connected)
    # Past the API, which has read the officers' row, and would not have asked.
    assert (engine_says(venue), is_refused(tia)) == (("open", True), True)
    until(lambda: venue.settlement.step() and not engine_says(venue)[1])
    assert engine_says(venue) == ("halted", False)
    assert takes(tia) is ResultCode.INSTRUMENT_STATE
    venue.settle()
    assert (Fill.objects.count(), sound()) == (0, True)


def test_takes_orders_once_settlement_has_found_nothing_stopped(venue: Venue, tia: Trader) -> None:
    another_leader(venue)
    assert is_refused(tia)
    for _ in range(2):  # the second finds it confirmed
        tasks.assert_market_states(now=clock.now())
    assert (engine_says(venue), takes(tia)) == (("open", False), ResultCode.OK)
    venue.settle()
    assert (Fill.objects.count(), sound()) == (2, True)


def test_lets_whoever_waits_out_of_the_market(venue: Venue, tia: Trader) -> None:
    resting = place(tia, terms("buy", "0.1", "30000"))[0]
    another_leader(venue)
    (answer,) = gateway.cancel(account(tia).pk, [resting.order_id], now=clock.now())
    assert isinstance(answer, Result)
    assert answer.code is ResultCode.OK


def test_is_confirmed_though_settlement_stands_still(venue: Venue, tia: Trader) -> None:
    another_leader(venue)
    venue.settlement._halt(ValueError("a break"), clock.now())
    venue.settlement._asserted -= SWEEP_EVERY
    assert venue.settlement.step() is False
    assert queries.settlement().halted
    assert takes(tia) is ResultCode.OK


def test_is_not_confirmed_by_whoever_looked_at_a_former_one(
    venue: Venue, tia: Trader, staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One settlement is slow between look and word. Meanwhile its leader dies, and officers freeze."""
    another_leader(venue)
    confirm = administration.confirm

    def slow(target: str, **told: Any) -> None:
        monkeypatch.undo()
        venue.engine.kill()
        freeze(staff, now)
        venue.engine.start()
        confirm(target, **told)

    monkeypatch.setattr(administration, "confirm", slow)
    with pytest.raises(EngineRefused, match="leads here, not"):
        tasks.confirm_leader(now=clock.now())
    until(gateway.is_connected)
    assert (engine_says(venue), is_refused(tia)) == (("open", True), True)
    tasks.confirm_leader(now=now)
    assert engine_says(venue) == ("cancel_only", False)


def test_is_not_confirmed_where_its_events_are_others_than_those_that_were_settled(
    venue: Venue, settings: Any
) -> None:
    """One that was begun anew, and has told as many."""
    with engine_running(waits=True) as other:
        settings.ENGINE_ADMIN_TARGET = f"unix:{other.admin}"
        list(listing.put_all(f"unix:{other.admin}", actor=system("test"), now=clock.now()))
        administration.put_asset(f"unix:{other.admin}", number=9, code="LATER", decimals=8)
        assert other.status().event_seq > queries.settlement().last_event_seq
        with pytest.raises(EngineRefused, match="is another one than was settled"):
            tasks.confirm_leader(now=clock.now())
        settled = Settlement(f"unix:{other.transfers}")
        assert settled.step() is False
        settled.close()
        assert queries.settlement().halted.startswith("HistoryLost: event ")
        assert other.status().awaits_confirmation


def test_halts_also_what_was_stopped_between_the_look_and_the_word(
    venue: Venue, tia: Trader, staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_leader(venue)
    confirm = administration.confirm

    def slow(target: str, **told: Any) -> None:
        stop(staff, now)
        confirm(target, **told)

    monkeypatch.setattr(administration, "confirm", slow)
    tasks.assert_market_states(now=now)
    assert engine_says(venue) == ("halted", False)


def test_waits_on_where_a_stop_does_not_get_through_or_its_word_is_lost(
    venue: Venue, tia: Trader, staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop(staff, now)
    another_leader(venue)

    def lost(target: str, **told: Any) -> None:
        raise EngineAway("DEADLINE_EXCEEDED")

    for step in ("set_state", "confirm"):
        with monkeypatch.context() as broken:
            broken.setattr(administration, step, lost)
            settled_beside(venue)
        assert (engine_says(venue)[1], is_refused(tia)) == (True, True)
    settled_beside(venue)
    assert engine_says(venue) == ("halted", False)


def test_says_on_the_health_screen_for_what_it_waits(venue: Venue) -> None:
    another_leader(venue)
    for status, word in (("down", "waits for confirmation"), ("up", "runs in epoch")):
        now = clock.now()
        vitals.leave(venue.engine.status(), now=now)
        reading = probes.read_engine(now)
        assert (reading.status.value, word in reading.sentence) == (status, True)
        tasks.confirm_leader(now=clock.now())


def test_has_certainly_not_taken_what_it_refused_beside_what_it_answered() -> None:
    refused, known = (Result(code, 0, 1, 0, 0, False, 0) for code in (ResultCode.UNCONFIRMED, ResultCode.OK))
    assert _told([refused, known]) == [refused, known]
    assert placed(ResultCode.UNCONFIRMED)[0] == "50001"
    with pytest.raises(EngineAway):
        _told([refused, refused])
