"""Settlement, beside the events that it writes down, ..."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from core import clock
from core.actor import Actor
from engine_bridge.actions import start_transfer
from engine_bridge.actions.accounts import open_account
from engine_bridge.actions.markets import list_market
from engine_bridge.adapters import transfers
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.daemons import settlement
from engine_bridge.domain.commands import MoveFunds
from engine_bridge.domain.events import Batch
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.domain.transfers import ACKNOWLEDGED_AFTER
from engine_bridge.models import Transfer
from engine_bridge.wire import transfers_pb2, types_pb2
from kernel.money import Amount
from tests.events import BTC, Tape
from tests.settling import Script, told
from tests.traders import enrol
from tests.venue import give

__all__ = ["told"]

pytestmark = pytest.mark.django_db


def test_does_again_what_the_outbox_may_have_given_up_on(
    robot: Actor, now: datetime, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transfer that waits."""
    tom = enrol("Tom", now=now)
    give(tom.customer.pk, "1", "BTC")
    row = start_transfer(
        customer_id=tom.customer.pk, amount=Amount(5, "BTC"), into_venue=True, actor=tom.actor, now=now
    )
    done: list[str] = []
    monkeypatch.setattr(settlement.tasks, "send_pending_transfers", lambda: done.append("transfers"))
    daemon = settlement.Settlement("unix:nowhere")
    begun = clock.now()
    Transfer.objects.filter(pk=row.pk).update(created_at=begun - settlement.SWEEP_EVERY / 2)
    daemon._sweep(begun)
    daemon._sweep(begun + settlement.SWEEP_EVERY / 2)
    assert done == []
    daemon._sweep(begun + settlement.SWEEP_EVERY + timedelta(seconds=1))
    assert done == ["transfers"]
    monkeypatch.setattr(settlement, "Feed", Script(Batch(1, 1, (), 0)))
    Transfer.objects.filter(pk=row.pk).update(created_at=begun - 2 * settlement.SWEEP_EVERY)
    daemon._swept = begun - 2 * settlement.SWEEP_EVERY
    assert daemon.step() is True
    assert done == ["transfers", "transfers"], "also while nothing happens at the venue"


def test_has_officers_stops_told_to_the_engine_all_the_same(
    robot: Actor, now: datetime, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And at once to an engine that was away: it may have begun where officers had stopped it."""
    list_market(listing=LISTINGS[0], actor=robot, now=now)
    done: list[datetime] = []
    deeds = ((settlement.tasks, "assert_market_states"), (settlement.banding, "assert_bands"))
    for module, deed in (*deeds, (settlement.charging, "reconcile_fees")):
        monkeypatch.setattr(module, deed, lambda *, now: done.append(now))
    monkeypatch.setattr(settlement, "Feed", Script(Batch(1, 1, (), 0)))
    daemon = settlement.Settlement("unix:nowhere")
    daemon._halt(ValueError("a break"), clock.now())
    assert daemon.step() is False
    assert len(done) == 3, "states, bands and fees"
    daemon._halted = settlement.NEVER
    assert daemon.step() is True
    assert len(done) == 3

    def away(self: Script) -> Batch:
        raise EngineAway("gone")

    monkeypatch.setattr(Script, "next", away)
    assert daemon.step() is False
    assert daemon.step() is False
    assert len(done) == 6


@pytest.mark.parametrize(("code", "is_decided"), [
    ("OK", True), ("INSUFFICIENT_BALANCE", True), ("BUSY", False), ("DRAINING", False), ("FAILED", False),
])  # fmt: skip
def test_takes_a_transfer_for_sent_only_where_the_engine_has_decided(
    code: str, is_decided: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [transfers_pb2.TransferResult(code=types_pb2.ResultCode.Value(f"RESULT_CODE_{code}"))]
    stub = SimpleNamespace(Submit=lambda batch, timeout: SimpleNamespace(results=results))
    monkeypatch.setattr(transfers, "open_channel", lambda target: nullcontext())
    monkeypatch.setattr(transfers.transfers_pb2_grpc, "TransfersStub", lambda channel: stub)
    move = MoveFunds(uuid4(), 1, BTC, 5, into_venue=True)
    with nullcontext() if is_decided else pytest.raises(EngineAway):
        assert transfers.send("unix:nowhere", [move]) == [code]


def test_lets_the_engine_forget_no_transfer_before_its_end_is_a_day_old(
    robot: Actor, now: datetime, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    list_market(listing=LISTINGS[0], actor=robot, now=now)
    tom = enrol("Tom", now=now)
    account = open_account(customer_id=tom.customer.pk, now=now)
    give(tom.customer.pk, "1", "BTC")
    tape = Tape()
    for units in (4, 5, 6, 7):
        row = start_transfer(
            customer_id=tom.customer.pk,
            amount=Amount(units, "BTC"),
            into_venue=True,
            actor=tom.actor,
            now=now,
        )
        if units < 7:
            tape.transfer(row.pk, account.pk, BTC, units)
    monkeypatch.setattr(settlement, "Feed", Script(tape.batch()))
    monkeypatch.setattr(settlement.tasks, "send_pending_transfers", lambda: 0)
    daemon = settlement.Settlement("unix:nowhere")
    daemon._acknowledged = clock.now()
    assert daemon.step() is True
    assert told == {"acknowledged": [], "settled": []}, "the hour is not over"
    daemon._sweep(clock.now() + settlement.ACKNOWLEDGE_EVERY)
    assert told == {"acknowledged": [], "settled": [2]}, "who has just read of them as pending may yet send"
    old = clock.now() - ACKNOWLEDGED_AFTER - timedelta(minutes=1)
    for units, at in ((4, old), (5, old), (6, clock.now() - ACKNOWLEDGED_AFTER / 2)):
        Transfer.objects.filter(units=units).update(closed_at=at)
    daemon._sweep(clock.now() + 2 * settlement.ACKNOWLEDGE_EVERY)
    assert told == {"acknowledged": [2], "settled": [2, 2]}
