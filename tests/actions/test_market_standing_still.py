"""Settlement, when events are missing or long settled, ..."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import grpc
import pytest
from django.conf import settings as configured
from django.db import OperationalError

from core import clock
from core.actor import Actor
from core.health import Status
from core.outbox.models import OutboxMessage
from engine_bridge import probes, queries, tasks
from engine_bridge.actions import clear_mirrors, halt_settlement, settle_batch, start_transfer
from engine_bridge.actions.accounts import open_account
from engine_bridge.actions.markets import list_market
from engine_bridge.adapters import administration, transfers
from engine_bridge.adapters.channel import EngineAway, EngineRefused
from engine_bridge.adapters.decoding import Undecodable
from engine_bridge.adapters.notes import NotesDown
from engine_bridge.daemons import settlement
from engine_bridge.domain.commands import MoveFunds
from engine_bridge.domain.events import Batch, Note
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.domain.transfers import ACKNOWLEDGED_AFTER
from engine_bridge.models import Transfer
from engine_bridge.wire import transfers_pb2, types_pb2
from kernel.money import Amount
from tests.events import BTC, Tape
from tests.officers import Staff
from tests.traders import enrol
from tests.venue import give

pytestmark = pytest.mark.django_db


class Script:
    """A feed that tells what it is given, and remembers from where it was asked."""

    def __init__(self, *batches: Batch) -> None:
        self.batches = list(batches)
        self.asked: list[int] = []

    def __call__(self, target: str, *, from_event_seq: int, consumer: str) -> Script:
        self.asked.append(from_event_seq)
        return self

    def next(self) -> Batch:
        return self.batches.pop(0)

    def close(self) -> None:
        pass


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What the engine would have been told beside: acknowledged and settled events, pending transfers."""
    heard: dict[str, list[Any]] = {"acknowledged": [], "settled": []}
    monkeypatch.setattr(
        transfers,
        "acknowledge",
        lambda target, *, through_event_seq: heard["acknowledged"].append(through_event_seq),
    )
    monkeypatch.setattr(
        transfers,
        "settled",
        lambda target, *, through_event_seq, **_: heard["settled"].append(through_event_seq),
    )
    return heard


@pytest.fixture
def tape(robot: Actor, now: datetime) -> Tape:
    """Three events about the one market that is listed."""
    list_market(listing=LISTINGS[0], actor=robot, now=now)
    made = Tape()
    for _ in range(3):
        made.open_market()
    return made


def notices(topic: str) -> list[dict[str, Any]]:
    return [message.body for message in OutboxMessage.objects.filter(topic=topic).order_by("created_at")]


def test_asks_once_more_then_stands_and_tells_people_once(
    staff: Staff, tape: Tape, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tape.open_market()
    script = Script(tape.batch(1, 2), tape.batch(4), tape.batch(4), tape.batch(4), tape.batch(3))
    monkeypatch.setattr(settlement, "Feed", script)
    monkeypatch.setattr(settlement, "RETRY_HALTED", timedelta(0))
    daemon = settlement.Settlement("unix:nowhere")
    assert [daemon.step(), daemon.step()] == [True, False]
    assert (queries.settlement().halted, notices("factors.outside_told")) == ("", [])
    assert daemon.step() is False
    assert queries.settlement().halted == "Gap: event 4 came after 2"
    assert probes.read_settlement(clock.now()).status is Status.DOWN
    mails, (outside,) = notices("factors.officer_told"), notices("factors.outside_told")
    assert "event 4 came after 2" in outside["text"]
    assert f"{configured.CONSOLE_ORIGIN}/engine/" in outside["text"]
    assert {str(one.identity.pk) for one in (staff.ana, staff.dot, staff.sam)} <= {
        m["identity"] for m in mails
    }
    assert str(staff.eve.identity.pk) not in {mail["identity"] for mail in mails}
    # It looks again, and still stands: nobody hears of that twice, not even where the words have changed.
    assert daemon.step() is False
    halt_settlement(reason="Gap: in other words", actor=settlement.ACTOR, now=clock.now())
    assert len(notices("factors.outside_told")) == 1
    # The events are there after all: it goes on where it stood, and people would hear of the next stop.
    assert daemon.step() is True
    assert (queries.settlement().halted, queries.settlement().last_event_seq) == ("", 4)
    assert script.asked == [1, 2, 2, 2]
    halt_settlement(reason="Break: another", actor=settlement.ACTOR, now=clock.now() + timedelta(seconds=1))
    assert len({notice["notice"] for notice in notices("factors.outside_told")}) == 2


def test_waits_half_a_minute_before_it_looks_again(
    tape: Tape, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(tape.batch(2), tape.batch(2), tape.batch(1))
    monkeypatch.setattr(settlement, "Feed", script)
    daemon = settlement.Settlement("unix:nowhere")
    assert [daemon.step() for _ in range(9)] == 9 * [False]
    assert script.asked == [1, 1]
    daemon._halted -= settlement.RETRY_HALTED
    assert daemon.step() is True
    assert (script.asked, queries.settlement().last_event_seq) == ([1, 1, 1], 3)


def test_asks_once_more_at_each_gap_of_its_own(
    tape: Tape, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(tape.batch(2), tape.batch(1, 1), tape.batch(3), tape.batch(2))
    monkeypatch.setattr(settlement, "Feed", script)
    daemon = settlement.Settlement("unix:nowhere")
    assert [daemon.step() for _ in range(4)] == [False, True, False, True]
    assert (queries.settlement().halted, queries.settlement().last_event_seq) == ("", 3)


def test_leaves_a_database_that_is_away_to_whoever_runs_it_and_does_not_stand(
    robot: Actor, now: datetime, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        monkeypatch.setattr(settlement, "settle_batch", settle_batch)
        raise OperationalError("the server closed the connection")

    list_market(listing=LISTINGS[0], actor=robot, now=now)
    tape = Tape()
    tape.open_market()
    script = Script(tape.batch(), tape.batch())
    monkeypatch.setattr(settlement, "Feed", script)
    monkeypatch.setattr(settlement, "settle_batch", away)
    daemon = settlement.Settlement("unix:nowhere")
    with pytest.raises(OperationalError):
        daemon.step()
    assert (queries.settlement().halted, daemon.step()) == ("", True)
    assert script.asked == [1, 1], "from the cursor, as if nothing had come"


def test_waits_for_the_notes_of_orders_and_does_not_stand(
    tape: Tape, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does its process end, which confirms leaders and tells the engine what officers stopped."""
    answers: list[Any] = [NotesDown("refused"), NotesDown("refused"), {}]

    def find(order_ids: set[int]) -> dict[int, Note]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    script = Script(tape.batch())
    monkeypatch.setattr(settlement, "Feed", script)
    monkeypatch.setattr(settlement.notes, "find", find)
    daemon = settlement.Settlement("unix:nowhere")
    assert [daemon.step() for _ in range(3)] == [False, False, True]
    assert (queries.settlement().halted, queries.settlement().last_event_seq, script.asked) == ("", 3, [1])


def test_goes_on_though_the_engine_refuses_what_it_is_told_beside(
    robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs it has mixed up two identities, say: no market is stopped, and no transfer is sent."""

    class Denied(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.PERMISSION_DENIED

        def details(self) -> str:
            return "this identity may not"

    def denied(*_: Any, **__: Any) -> None:
        refused.append(1)
        raise Denied

    refused: list[int] = []
    stub = SimpleNamespace(Submit=denied, Settled=denied, Status=denied)
    monkeypatch.setattr(transfers.transfers_pb2_grpc, "TransfersStub", lambda channel: stub)
    monkeypatch.setattr(administration.admin_pb2_grpc, "AdminStub", lambda channel: stub)
    for adapter in (transfers, administration):
        monkeypatch.setattr(adapter, "open_channel", lambda target: nullcontext())
    list_market(listing=LISTINGS[0], actor=robot, now=now)
    tom = enrol("Tom", now=now)
    give(tom.customer.pk, "1", "BTC")
    start_transfer(
        customer_id=tom.customer.pk, amount=Amount(5, "BTC"), into_venue=True, actor=tom.actor, now=now
    )
    tape = Tape()
    tape.open_market()
    monkeypatch.setattr(settlement, "Feed", Script(tape.batch(), Batch(1, 2, (), 1)))
    daemon = settlement.Settlement("unix:nowhere")
    assert daemon.step() is True
    assert (queries.settlement().halted, queries.settlement().last_event_seq) == ("", 1)
    daemon._swept = clock.now()
    assert daemon.step() is True
    assert len(refused) == 4, "its status twice, a transfer, and how far it is settled"


def test_stands_at_an_event_that_it_does_not_know(
    robot: Actor, now: datetime, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(self: Script) -> Batch:
        raise Undecodable("event 7 is of no known kind")

    list_market(listing=LISTINGS[0], actor=robot, now=now)
    monkeypatch.setattr(settlement, "Feed", Script())
    monkeypatch.setattr(Script, "next", unknown)
    assert settlement.Settlement("unix:nowhere").step() is False
    assert queries.settlement().halted == "Undecodable: event 7 is of no known kind"
    assert len(notices("factors.outside_told")) == 1


def test_stands_where_the_engines_events_end_before_what_was_settled(
    robot: Actor, tape: Tape, told: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restored from an old copy, or begun anew: what it tells next would pass for what comes next. Nobody
    trades there, either.
    """
    short = Batch(2, 1, tape.batch(1, 2).events, 2)
    script = Script(tape.batch(), Batch(2, 4, (), 2), short, tape.batch())
    monkeypatch.setattr(settlement, "Feed", script)
    monkeypatch.setattr(settlement, "RETRY_HALTED", timedelta(0))
    daemon = settlement.Settlement("unix:nowhere")
    assert [daemon.step(), daemon.step()] == [True, False]
    assert queries.settlement().halted == "HistoryLost: the engine's events end at 2, and 3 were settled"
    assert len(notices("factors.outside_told")) == 1
    found = SimpleNamespace(awaits_confirmation=True, epoch=2, event_seq=2)
    confirmed: list[int] = []
    monkeypatch.setattr(administration, "status", lambda target: found)
    monkeypatch.setattr(administration, "listed", lambda target: {})
    monkeypatch.setattr(administration, "confirm", lambda target, *, epoch: confirmed.append(epoch))
    # A rebuild of the mirrors forgets nothing of that.
    clear_mirrors(actor=robot, now=clock.now(), reason="test")
    with pytest.raises(EngineRefused, match="its events end at 2, and 3 were settled"):
        tasks.confirm_leader(now=clock.now())
    assert (daemon.step(), queries.settlement().last_event_seq) == (False, 0)
    found.event_seq = 3
    tasks.confirm_leader(now=clock.now())
    assert (daemon.step(), queries.settlement().last_event_seq, {*confirmed}) == (True, 3, {2})


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
