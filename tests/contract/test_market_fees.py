"""What an account pays, against the real engine, ..."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from core import clock
from core.actor import system
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.approvals.opening import AlreadyOpen
from core.audit.models import AuditEvent
from core.health import Status
from core.outbox.models import OutboxMessage
from core.refusals import NotAllowed, NotFound
from engine_bridge import charging, listing, queries
from engine_bridge.actions import ask_fee_level, rebuild_mirrors
from engine_bridge.actions.entitled import ReasonMissing
from engine_bridge.actions.fees import SameFees, UnknownLevel
from engine_bridge.adapters import administration, vitals
from engine_bridge.adapters.feed import read_range
from engine_bridge.domain import events
from engine_bridge.domain.fees import LEVELS, Rates
from engine_bridge.models import AccountFees, ToldFees
from engine_bridge.probes import read_settlement
from tests.exchange import HEARD
from tests.officers import Staff
from tests.traders import Api, Trader
from tests.trading import account, maker, mirrors, place, sound, taker, terms, trading
from tests.venue import Venue, engine_running, venue_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def venue(db: None) -> Iterator[Venue]:
    with venue_open() as opened:
        yield opened


def ask(trader: Trader, level: str, staff: Staff, now: datetime, reason: str = "volume") -> ApprovalRequest:
    return ask_fee_level(
        customer_id=trader.customer.pk, level=level, reason=reason, actor=staff.ana.actor, now=now
    )


def approve(request: ApprovalRequest, staff: Staff, now: datetime) -> None:
    for officer in (staff.ben, staff.cy):
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)


def given(venue: Venue, trader: Trader, level: str, staff: Staff, now: datetime) -> None:
    approve(ask(trader, level, staff, now), staff, now)
    venue.deliver()
    venue.settle()
    charging.reconcile_fees(now=now)


def rates(trader: Trader) -> tuple[str, str, str]:
    answer = json.loads(Api(trader).get("/api/v5/account/trade-fee?instType=SPOT").content)["data"][0]
    return answer["level"], answer["maker"], answer["taker"]


def fills(trader: Trader) -> list[dict[str, Any]]:
    return list(json.loads(Api(trader).get("/api/v5/trade/fills?instType=SPOT").content)["data"])


def acts() -> list[str]:
    rows = AuditEvent.objects.filter(doc__action__startswith="engine.fees.").order_by("tx", "n")
    names = [row.doc["action"].rpartition(".")[2] for row in rows]
    return [name for name in names if name != "refused"]


def test_is_the_markets_fee_until_two_others_agree_and_its_own_from_then_on(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    """Asked, approved, told, traded, shown to its owner, rebuilt; the same at an engine that begins anew."""
    tom, tia = maker(venue), taker(venue)
    request = ask(tia, "VIP1", staff, now)
    with pytest.raises(AlreadyOpen):
        ask(tia, "VIP2", staff, now)
    submit_signature(request_id=request.pk, signed=staff.ben.answer(request), actor=staff.ben.actor, now=now)
    place(tom, terms("sell", "0.2", "40000"))
    place(tia, terms("buy", "0.1", "40000"))
    venue.deliver()
    venue.settle()
    assert rates(tia) == ("Lv1", "-0.0008", "-0.001")
    submit_signature(request_id=request.pk, signed=staff.cy.answer(request), actor=staff.cy.actor, now=now)
    assert (acts(), rates(tia)[0]) == (["asked", "approved"], "Lv1")
    venue.deliver()
    venue.settle()
    charging.reconcile_fees(now=now)
    charging.reconcile_fees(now=now)
    assert (acts(), queries.fees_open()) == (["asked", "approved", "confirmed"], [])
    assert rates(tia) == ("VIP1", "-0.0006", "-0.0008")
    place(tia, terms("buy", "0.1", "40000"))
    venue.settle()
    newer, older = fills(tia)
    assert (older["fee"], older["feeRate"]) == ("-0.0001", "-0.001")
    assert (newer["fee"], newer["feeRate"]) == ("-0.00008", "-0.0008")
    assert {row["feeRate"] for row in fills(tom)} == {"-0.0008"}
    assert (trading(tia, "BTC"), sound()) == ("0.19982", True)
    mirrored = [*mirrors(), list(ToldFees.objects.values())]
    rebuild_mirrors(typed="rebuild", reason="a test", actor=staff.sam.actor, now=clock.now())
    charging.reconcile_fees(now=now)
    assert acts()[-1] == "confirmed", "what is not rebuilt yet differs from nothing"
    venue.settle()
    assert [*mirrors(), list(ToldFees.objects.values())] == mirrored
    with engine_running() as other:
        target = f"unix:{other.admin}"
        list(listing.put_all(target, actor=system("test"), now=now))
        told = [
            event.body
            for batch in read_range(f"unix:{other.transfers}", first=1, last=other.status().event_seq)
            for event in batch.events
            if isinstance(event.body, events.FeesChanged)
        ]
    assert told == [events.FeesChanged(account(tia).pk, LEVELS["VIP1"])]


def test_is_told_again_and_people_are_told_where_the_engine_takes_another(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    tia, target = taker(venue), f"unix:{venue.engine.admin}"
    given(venue, tia, "MM1", staff, now)
    number = account(tia).pk
    unknown = number + 1000
    for one in (number, unknown):
        administration.set_fees(target, account=one, own=Rates(1, 2))
    venue.settle()
    before = OutboxMessage.objects.count()
    charging.reconcile_fees(now=now)
    charging.reconcile_fees(now=now)
    assert acts() == ["asked", "approved", "confirmed", "deviated", "deviated"], "once each"
    mails = OutboxMessage.objects.order_by("pk")[before:]
    assert any("nobody approved" in json.dumps(row.body) for row in mails)
    late = now + queries.fees.LATE * 2
    vitals.leave(HEARD, now=late)
    assert read_settlement(late).status is Status.DEGRADED
    venue.settle()
    charging.reconcile_fees(now=now)
    assert queries.fees_open() == []
    assert {row.pk: row.own for row in ToldFees.objects.all()} == {number: LEVELS["MM1"], unknown: None}
    assert "fees" not in read_settlement(late).sentence
    given(venue, tia, "Lv1", staff, now)
    assert (rates(tia), ToldFees.objects.get(pk=number).own) == (("Lv1", "-0.0008", "-0.001"), None)


def test_is_not_changed_by_whoever_may_not_or_for_no_reason(
    venue: Venue, staff: Staff, now: datetime
) -> None:
    tia = taker(venue)
    by: dict[str, Any] = {"customer_id": tia.customer.pk, "level": "VIP1", "reason": "x", "now": now}
    for wrong, raised in (
        ({"actor": staff.sam.actor}, NotAllowed),
        ({"actor": tia.actor}, NotAllowed),
        ({"reason": " "}, ReasonMissing),
        ({"level": "VIP9"}, UnknownLevel),
        ({"level": "Lv1"}, SameFees),
        ({"customer_id": staff.ana.identity.pk}, NotFound),
    ):
        with pytest.raises(raised):
            ask_fee_level(**{"actor": staff.ana.actor} | by | wrong)
    assert not AccountFees.objects.exists()


def test_is_not_written_past_an_approval_in_the_database(venue: Venue, staff: Staff, now: datetime) -> None:
    """Whoever owns the application's processes gives no friend a fee: not by the approval of another account,
    nor by an older one, nor by one that is not given yet, nor a cheaper one than was signed.
    """
    tom, tia = maker(venue), taker(venue)
    for trader, level in ((tom, "VIP3"), (tia, "MM1"), (tia, "VIP2")):
        given(venue, trader, level, staff, now)
    older, newest = ApprovalRequest.objects.filter(facts__customer=str(tia.customer.pk)).order_by("opened_at")
    ask(tia, "VIP1", staff, now)
    hers, his = AccountFees.objects.filter(pk=account(tia).pk), AccountFees.objects.get(pk=account(tom).pk)
    hers.update(approved_request=None)
    signed = {"level": "VIP2", "maker_ppm": 500, "taker_ppm": 700, "approved_request": newest.pk}
    for changes in (
        {"level": "MM1", "maker_ppm": 0, "taker_ppm": 400, "approved_request": older.pk},
        {"level": "VIP3", "maker_ppm": 300, "taker_ppm": 500, "approved_request": his.approved_request},
        {"level": "VIP1", "maker_ppm": 600, "taker_ppm": 800, "approved_request": hers.get().request},
        *(signed | {name: value} for name, value in (("maker_ppm", 1), ("taker_ppm", 1), ("level", "VIP3"))),
        {"maker_ppm": None, "taker_ppm": None},
    ):
        with pytest.raises(IntegrityError, match="by an approved request only"), transaction.atomic():
            hers.update(**changes)
    with pytest.raises(IntegrityError, match="by an approved request only"), transaction.atomic():
        AccountFees.objects.create(account_id=99, level="MM1", maker_ppm=0, taker_ppm=0, decided_at=now)
    assert hers.update(**signed) == 1
