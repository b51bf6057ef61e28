"""A market's price band, against the real engine, ..."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core.actor import system
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage
from core.refusals import NotAllowed, NotFound
from engine_bridge import banding, listing
from engine_bridge.actions import ask_band, narrow_band
from engine_bridge.actions.bands import BadBand, BandUnknown, NotNarrower, Overtaken, SameBand
from engine_bridge.actions.entitled import ReasonMissing
from engine_bridge.adapters import administration
from engine_bridge.domain.markets import Band
from engine_bridge.domain.results import ResultCode
from engine_bridge.models import Instrument
from tests import asking
from tests.concurrency.test_execution_races import carry_out
from tests.officers import Staff
from tests.trading import code_of, place, taker, terms
from tests.venue import Venue, engine_running, venue_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def venue(db: None, now: datetime) -> Iterator[Venue]:
    with venue_open() as opened:
        banding.assert_bands(now=now)
        yield opened


def set_to(change: Any, percent: str, staff: Staff, now: datetime, *, reference: str = "") -> Any:
    by = {"reason": "a start", "actor": staff.sam.actor, "now": now}
    return change(symbol="BTC-USDT", percent=percent, reference=reference, **by)


def approve(request: ApprovalRequest, staff: Staff, now: datetime) -> None:
    for officer in (staff.ben, staff.cy):
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)


def in_engine(venue: Venue) -> Band:
    return administration.bands(f"unix:{venue.engine.admin}")[1]


def acts() -> list[str]:
    rows = AuditEvent.objects.filter(doc__action__startswith="engine.market.band").order_by("tx", "n")
    return [row.doc["action"].rpartition(".band_")[2] for row in rows]


def test_is_narrowed_by_one_officer_and_widened_by_two_who_did_not_ask(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    assert (in_engine(venue), Instrument.objects.get().band, acts()) == (Band(0, 0), Band(0, 0), ["wanted"])
    tia = taker(venue)
    set_to(narrow_band, "5", staff, now, reference="40000")
    venue.deliver()
    assert (in_engine(venue), acts()) == (Band(50_000, 400_000), ["wanted", "wanted", "told"])
    assert code_of(place(tia, terms("buy", "0.1", "42000.1"))[0]) is ResultCode.PRICE_BAND
    with pytest.raises(NotNarrower):
        set_to(narrow_band, "6", staff, now)
    request = set_to(ask_band, "6", staff, now)
    assert request.facts == {"market": "BTC-USDT", "band_ppm": 60_000} | {
        name: value for name, value in request.facts.items() if name in ("kind", "hour", "maker", "lane")
    }
    venue.deliver()
    assert in_engine(venue).ppm == 50_000
    approve(request, staff, now)
    venue.deliver()
    venue.deliver()
    assert in_engine(venue) == Band(60_000, 400_000)
    assert code_of(place(tia, terms("buy", "0.1", "42000.1"))[0]) is ResultCode.OK
    written = AuditEvent.objects.filter(doc__action="engine.market.band_wanted").order_by("tx", "n").last()
    assert written is not None
    assert written.doc["after"] == {"ppm": 60_000, "reference_ticks": 0, "request": str(request.pk)}
    with engine_running() as other:
        list(listing.put_all(f"unix:{other.admin}", actor=system("test"), now=now))
        assert administration.bands(f"unix:{other.admin}")[1].ppm == 60_000, "also where it begins anew"


def test_is_narrowed_over_a_wider_one_that_was_asked_for_and_approved(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    set_to(narrow_band, "5", staff, now)
    waiting = set_to(ask_band, "9", staff, now)
    set_to(narrow_band, "4", staff, now)
    waiting.refresh_from_db()
    assert (waiting.state, Instrument.objects.get().band_request) == ("withdrawn", None)
    approved = set_to(ask_band, "9", staff, now)
    asking.approve(approved, (staff.sam, staff.ben, staff.cy), now)
    set_to(narrow_band, "3", staff, now)
    with pytest.raises(Overtaken):
        carry_out(request_id=approved.pk, actor=staff.ben.actor, now=now)
    assert Instrument.objects.get().band == Band(30_000, 0)


def test_is_set_back_and_told_to_people_where_the_engine_has_another(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    set_to(narrow_band, "5", staff, now, reference="40000")
    venue.deliver()
    administration.set_band(f"unix:{venue.engine.admin}", instrument=1, band=Band(900_000, 0))
    before = OutboxMessage.objects.count()
    banding.assert_bands(now=now)
    banding.assert_bands(now=now)
    assert (in_engine(venue).ppm, acts()[-3:]) == (50_000, ["told", "deviated", "told"])
    # The price that came with it has counted: by now others were traded at.
    assert Instrument.objects.get().band == Band(50_000, 0)
    assert "nobody asked for" in str([row.body for row in OutboxMessage.objects.order_by("pk")[before:]])


def test_is_told_though_the_message_is_lost_and_by_whoever_comes_last(
    venue: Venue, staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to(narrow_band, "5", staff, now)
    late = administration.set_band

    def slow(target: str, **told: Any) -> None:
        """Meanwhile it is narrowed, and another worker tells the engine so; then the slow word comes."""
        monkeypatch.undo()
        set_to(narrow_band, "4", staff, now)
        banding.assert_band(instrument=1, now=now)
        late(target, **told)

    monkeypatch.setattr(administration, "set_band", slow)
    banding.assert_bands(now=now)
    assert (in_engine(venue).ppm, "deviated" in acts()) == (40_000, False)


def test_is_narrowed_by_the_command_and_by_nobody_without_the_right_or_a_reason(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    call = partial(call_command, "set_price_band", stdout=StringIO())
    Instrument.objects.update(band_ppm=None)
    with pytest.raises(BandUnknown):
        set_to(narrow_band, "5", staff, now)
    call("BTC-USDT", "5", reason="a stopped console")
    assert in_engine(venue).ppm == 50_000
    for symbol, percent, reference, reason, says in (
        ("BTC-USDT", "4", "", " ", "say why"),
        ("ETH-USDT", "4", "", "x", "no such market"),
        ("BTC-USDT", "4", "40000.05", "x", "not a multiple of 0.1"),
        ("BTC-USDT", "4", "40000", "x", "no narrower"),
        *(("BTC-USDT", percent, "", "x", "no narrower") for percent in ("5", "5.1", "0", "100")),
        *(("BTC-USDT", percent, "", "x", "0 to 100") for percent in ("x", "NaN", "-1", "101", "0.00001")),
    ):
        with pytest.raises(CommandError, match=says):
            call(symbol, percent, reference=reference, reason=reason)
    by: dict[str, Any] = {"symbol": "BTC-USDT", "percent": "4", "reason": "x", "actor": staff.sam.actor}
    for wrong, raised in (
        ({"actor": staff.dot.actor}, NotAllowed),
        ({"reason": " "}, ReasonMissing),
        ({"symbol": "ETH-USDT"}, NotFound),
        ({"percent": "one"}, BadBand),
    ):
        for change in (narrow_band, ask_band):
            with pytest.raises(raised):
                change(**by | wrong, now=now)
    with pytest.raises(NotAllowed):
        ask_band(**by | {"actor": system("set_price_band")}, now=now)
    with pytest.raises(SameBand):
        ask_band(**by | {"percent": "5"}, now=now)
    assert Instrument.objects.get().band == Band(50_000, 0)
