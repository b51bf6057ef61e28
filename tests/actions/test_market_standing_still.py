"""Settlement, when events are missing or long settled, ..."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

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
from engine_bridge.actions.markets import list_market
from engine_bridge.adapters import administration, transfers
from engine_bridge.adapters.channel import EngineRefused
from engine_bridge.adapters.decoding import Undecodable
from engine_bridge.adapters.notes import NotesDown
from engine_bridge.daemons import settlement
from engine_bridge.domain.events import Batch, Note
from engine_bridge.domain.markets import LISTINGS
from kernel.money import Amount
from tests.events import Tape
from tests.officers import Staff
from tests.settling import Script, told
from tests.traders import enrol
from tests.venue import give

__all__ = ["told"]

pytestmark = pytest.mark.django_db


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
