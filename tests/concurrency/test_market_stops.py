"""A stop of a market ..."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from core import clock
from core.approvals import kinds
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.approvals.opening import AlreadyOpen
from core.freezes import Frozen
from core.freezes.actions import pull_freeze
from core.refusals import Refused
from engine_bridge import tasks
from engine_bridge.actions import ask_market_release, entitled, stop_market
from engine_bridge.actions.halts import Overtaken
from engine_bridge.actions.markets import list_market
from engine_bridge.adapters import administration
from engine_bridge.adapters.channel import EngineRefused
from engine_bridge.domain.markets import CALL, LISTINGS
from engine_bridge.models import Instrument
from tests.concurrency.test_execution_races import carry_out
from tests.officers import Officer, Staff, enrol
from tests.racing import at_once, refused
from tests.venue import Venue, venue_open

ROUNDS = 6


def stop(staff: Staff, now: datetime, reason: str = "prices look wrong") -> Instrument:
    return stop_market(symbol="BTC-USDT", state="halted", reason=reason, actor=staff.sam.actor, now=now)


def ask(staff: Staff, now: datetime) -> ApprovalRequest:
    return ask_market_release(symbol="BTC-USDT", reason="feed repaired", actor=staff.ana.actor, now=now)


def sign(officer: Officer, request: ApprovalRequest, now: datetime) -> ApprovalRequest:
    return submit_signature(
        request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now
    )


def release(staff: Staff, now: datetime) -> None:
    request = ask(staff, now)
    for officer in (staff.ben, staff.cy):
        sign(officer, request, now)


def stopped(now: datetime) -> Staff:
    """Whoever stopped the market, and may open it again."""
    staff = enrol(now=now)
    list_market(listing=LISTINGS[0], actor=staff.sam.actor, now=now)
    stop(staff, now)
    return staff


def engine_says(venue: Venue) -> str:
    return administration.listed(f"unix:{venue.engine.admin}")[1]


@pytest.mark.usefixtures("real_database")
def test_wins_over_the_signature_that_would_open_it() -> None:
    """Whichever comes first, it ends stopped; nobody waits for the other in a ring, and a release can be
    asked for anew.
    """
    now = clock.now()
    staff = stopped(now)
    for _ in range(ROUNDS):
        request = ask(staff, now)
        sign(staff.ben, request, now)
        outcomes = at_once(
            partial(sign, staff.cy, request, now), partial(stop, staff, now, "they look wrong again")
        )
        assert [type(outcome) for outcome in outcomes[1:]] == [Instrument]
        assert len(refused(outcomes)) <= 1
        row = Instrument.objects.get()
        assert (row.wanted_state, row.call_until, row.release_request) == ("halted", None, None)


@pytest.mark.django_db
def test_by_a_freeze_wins_over_the_signature_that_comes_before_its_message() -> None:
    now = clock.now()
    staff = stopped(now)
    request = ask(staff, now)
    sign(staff.ben, request, now)
    pull_freeze(scope="market:BTC-USDT", reason="odd prices", actor=staff.sam.actor, now=now)
    with pytest.raises(Frozen):
        sign(staff.cy, request, now)
    tasks.stop_frozen_markets(now=now)
    request.refresh_from_db()
    row = Instrument.objects.get()
    assert (request.state, row.wanted_state, row.release_request) == ("withdrawn", "halted", None)


@pytest.mark.usefixtures("real_database")
def test_wins_over_a_release_that_was_approved_and_not_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    staff = stopped(now)
    request = ask(staff, now)
    declared = kinds.named(request.kind)
    monkeypatch.setitem(kinds._registered, request.kind, replace(declared, on_approved=kinds.nothing))
    for officer in (staff.ben, staff.cy):
        request = sign(officer, request, now)
    monkeypatch.undo()
    assert request.state == "approved"
    stop(staff, now, "they look wrong again")
    with pytest.raises(Overtaken):
        carry_out(request_id=request.pk, actor=staff.ben.actor, now=now)
    assert Instrument.objects.get().wanted_state == "halted"


@pytest.mark.usefixtures("real_database")
def test_is_released_while_somebody_asks_for_its_release_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever signs holds the request and goes for the market; whoever asks holds the market."""
    now = clock.now()
    staff = stopped(now)
    request = ask(staff, now)
    sign(staff.ben, request, now)
    declared, market, both = kinds.named(request.kind), entitled.market, threading.Barrier(2)

    def release(row: ApprovalRequest, **told: Any) -> None:
        both.wait()
        declared.on_approved(row, **told)

    def claim(symbol: str) -> Instrument:
        row = market(symbol)
        both.wait()
        return row

    monkeypatch.setitem(kinds._registered, request.kind, replace(declared, on_approved=release))
    monkeypatch.setattr(entitled, "market", claim)
    signed, asked = at_once(partial(sign, staff.cy, request, now), partial(ask, staff, now))
    assert (type(signed), type(asked)) == (ApprovalRequest, AlreadyOpen)
    assert Instrument.objects.get().wanted_state == "open"


@pytest.mark.usefixtures("real_database")
def test_takes_back_the_release_that_waits_for_signatures() -> None:
    now = clock.now()
    staff = stopped(now)
    request = ask(staff, now)
    sign(staff.ben, request, now)
    stop(staff, now, "they look wrong again")
    request.refresh_from_db()
    assert request.state == "withdrawn"
    with pytest.raises(Refused):
        sign(staff.cy, request, now)
    assert Instrument.objects.get().wanted_state == "halted"
    release(staff, now)
    assert Instrument.objects.get().wanted_state == "open"


@pytest.mark.usefixtures("real_database")
@pytest.mark.parametrize("step", ["set_state", "run_auction"])
def test_wins_over_a_release_that_is_on_its_way_to_the_engine(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has read that the market is to open, and is slow; meanwhile it is stopped, and another one
    tells the engine so, or finds that there is nothing to tell. Then the slow one's word arrives.
    """
    now = clock.now()
    with venue_open() as venue:
        staff = enrol(now=now)
        stop(staff, now)
        tasks.assert_market_state(instrument=1, now=now)
        release(staff, now)
        if step == "run_auction":
            tasks.assert_market_state(instrument=1, now=now)
            assert engine_says(venue) == "auction"
        late = getattr(administration, step)

        def slow(target: str, **told: Any) -> None:
            monkeypatch.undo()
            assert told.get("state", "auction") == "auction"
            stop(staff, now, "they look wrong again")
            tasks.assert_market_state(instrument=1, now=now)
            assert engine_says(venue) == "halted"
            late(target, **told)

        monkeypatch.setattr(administration, step, slow)
        try:
            tasks.assert_market_state(instrument=1, now=now + CALL)
        except EngineRefused:
            assert step == "run_auction"
        assert engine_says(venue) == "halted"


@pytest.mark.usefixtures("real_database")
def test_leaves_the_next_release_its_whole_auction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is slow to run the auction that it has seen; meanwhile the market is stopped and released."""
    now = clock.now()
    with venue_open() as venue:
        staff = enrol(now=now)
        for deed in (stop, release):
            deed(staff, now)
            tasks.assert_market_state(instrument=1, now=now)
        run_auction = administration.run_auction

        def slow(target: str, **told: Any) -> None:
            monkeypatch.undo()
            for again, at in ((stop, now), (release, now + CALL)):
                again(staff, at)
                tasks.assert_market_state(instrument=1, now=at)
            assert engine_says(venue) == "auction"
            run_auction(target, **told)

        monkeypatch.setattr(administration, "run_auction", slow)
        tasks.assert_market_state(instrument=1, now=now + CALL)
        assert engine_says(venue) == "auction"
        tasks.assert_market_state(instrument=1, now=now + 2 * CALL)
        assert engine_says(venue) == "open"
