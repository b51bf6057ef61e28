"""Settling a batch ..."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core import ledger
from core.actor import Actor
from core.audit.models import AuditEvent
from core.ledger import AccountKind
from core.ledger.invariants import broken
from core.ledger.models import JournalEntry
from engine_bridge import locks, queries
from engine_bridge.actions import clear_mirrors, halt_settlement
from engine_bridge.actions.settlement import Gap, HistoryLost, StaleEpoch
from engine_bridge.actions.transfers import start_transfer
from engine_bridge.domain.commands import client_mark
from engine_bridge.domain.events import Batch, Note, Rejected
from engine_bridge.domain.orders import OrderType, Side, StpMode
from engine_bridge.models import EngineCursor, Fill, Order, TradingBalance
from kernel.money import Amount
from tests.events import Tape
from tests.settling import a_deal, counts, number, pair, send, settle, tape
from tests.traders import Trader

__all__ = ["pair", "tape"]

pytestmark = pytest.mark.django_db


def test_leaves_one_audit_event_and_moves_the_cursor(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    a_deal(tape, pair, now)
    before = AuditEvent.objects.count()
    settle(tape.batch(), robot, now)
    written = AuditEvent.objects.order_by("-pk").first()
    assert written is not None
    assert (AuditEvent.objects.count() - before, written.doc["action"]) == (1, "engine.settlement.batch")
    view, last = queries.settlement(), tape.events[-1]
    assert (view.last_event_seq, view.last_engine_seq) == (last.event_seq, last.engine_seq)
    assert (view.settled_at, queries.settled_engine_seq()) == (now, last.engine_seq)
    assert not any(broken().values())


def test_writes_a_batch_once_however_often_it_comes(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    a_deal(tape, pair, now)
    settle(tape.batch(), robot, now)
    after = counts()
    settle(tape.batch(), robot, now)
    settle(tape.batch(3), robot, now)
    assert counts() == after


def test_takes_what_is_new_of_a_batch_that_overlaps(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    a_deal(tape, pair, now)
    settle(tape.batch(1, 4), robot, now)
    settle(tape.batch(2), robot, now)
    assert (Fill.objects.count(), queries.settlement().last_event_seq) == (2, len(tape.events))


def test_changes_nothing_when_events_are_missing(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    a_deal(tape, pair, now)
    settle(tape.batch(1, 2), robot, now)
    before = counts()
    holed = Batch(1, 3, tape.batch(3).events[:1] + tape.batch(5).events, len(tape.events))
    for batch in (tape.batch(4), holed):
        with pytest.raises(Gap):
            settle(batch, robot, now)
    assert counts() == before


def test_refuses_a_leader_that_was_replaced(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    a_deal(tape, pair, now)
    settle(tape.batch(1, 2, epoch=3), robot, now)
    with pytest.raises(StaleEpoch):
        settle(tape.batch(3, epoch=2), robot, now)
    settle(tape.batch(3, epoch=4), robot, now)
    assert queries.settlement().epoch == 4


def test_stops_where_the_last_event_comes_again_as_another_one(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    """The end of the journal was lost, and as much came behind it since."""
    a_deal(tape, pair, now)
    settle(tape.batch(1, 3), robot, now)
    before, last = counts(), tape.events[2]
    for other in (
        replace(last, engine_seq=last.engine_seq + 1),
        replace(last, at=last.at + timedelta(microseconds=1)),
    ):
        for rest in ((), tuple(tape.events[3:])):
            with pytest.raises(HistoryLost, match="event 3 was settled as of command 3 at"):
                settle(Batch(2, 3, (other, *rest), 9), robot, now)
    assert counts() == before
    settle(tape.batch(3), robot, now)
    assert queries.settlement().last_event_seq == len(tape.events)


@pytest.mark.parametrize("moved", [{"last_event_seq": 99}, {"epoch": 9}])
def test_writes_nothing_once_another_has_moved_the_cursor(
    tape: Tape,
    pair: tuple[Trader, Trader],
    robot: Actor,
    now: datetime,
    moved: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Should a claim ever not hold: the cursor moves from where it was seen, or not at all."""
    a_deal(tape, pair, now)
    before, claim = counts(), locks.cursor

    def overtaken(shard: int) -> EngineCursor:
        row = claim(shard)
        EngineCursor.objects.filter(shard=shard).update(**moved)
        return row

    monkeypatch.setattr(locks, "cursor", overtaken)
    with pytest.raises(Gap, match="another consumer settled in the meantime"):
        settle(tape.batch(), robot, now)
    assert counts() == before


def test_goes_on_where_an_order_was_refused_under_the_number_of_one_that_rests(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    tom, tia = pair
    send(tom, "1", "BTC", tape, now)
    send(tia, "100000", "USDT", tape, now)
    maker = tape.accept(number(tom), Side.SELL, 400_000, 1_000)
    settle(tape.batch(), robot, now)
    tape.write(Rejected(maker.order_id, number(tia), "DUPLICATE_ORDER_ID"))
    taker = tape.accept(number(tia), Side.BUY, 400_000, 400)
    tape.trade(maker, taker, 400, maker_left=600, taker_left=0)
    settle(tape.batch(), robot, now)
    assert Order.objects.get(pk=maker.order_id).filled_lots == 400


def test_gives_money_back_from_transit_when_the_engine_refuses_it(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    tom = pair[0]
    row = send(tom, "1", "BTC", tape, now, refusal="OVERFLOW")
    settle(tape.batch(), robot, now)
    row.refresh_from_db()
    funding = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", tom.customer.pk)
    assert (row.state, row.reason, str(ledger.balance(funding).posted)) == ("refused", "OVERFLOW", "2")
    kinds = JournalEntry.objects.filter(reference=str(row.pk)).values_list("kind", flat=True)
    assert set(kinds) == {"engine.transfer_started", "engine.transfer_returned"}


def test_moves_nothing_when_the_engine_refuses_to_give_money_up(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    """Also while other money of the same customer is in transit, which could be taken for it."""
    tom = pair[0]
    send(tom, "1", "BTC", tape, now)
    settle(tape.batch(), robot, now)
    row = send(tom, "1", "BTC", tape, now, into=False, refusal="INSUFFICIENT_BALANCE")
    start_transfer(
        customer_id=tom.customer.pk,
        amount=Amount.parse("1", "BTC"),
        into_venue=True,
        actor=tom.actor,
        now=now,
    )
    posted = JournalEntry.objects.count()
    settle(tape.batch(), robot, now)
    row.refresh_from_db()
    assert (row.state, JournalEntry.objects.count() - posted) == ("refused", 0)
    assert TradingBalance.objects.get(account_id=row.account_id, asset="BTC").units == row.units


def test_finds_an_order_by_its_clients_name_even_without_its_note(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    tom = pair[0]
    send(tom, "1", "BTC", tape, now)
    account = queries.account_of(tom.customer.pk)
    assert account is not None
    spec = tape.accept(account.pk, Side.SELL, 400_000, 10, mark=client_mark(account.pk, "mine"))
    settle(tape.batch(), robot, now)
    row = queries.order(account, client_id="mine")
    assert row is not None
    assert (row.pk, row.client_id) == (spec.order_id, "")
    assert queries.order(account, client_id="others") is None


def test_believes_no_note_of_somebody_elses_order(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    tom, tia = pair
    send(tom, "1", "BTC", tape, now)
    spec = tape.accept(number(tom), Side.SELL, 400_000, 10)
    note = Note(
        spec.order_id,
        number(tia),
        1,
        "stolen",
        "tag",
        Side.SELL,
        OrderType.LIMIT,
        1,
        1,
        0,
        StpMode.CANCEL_MAKER,
    )
    settle(tape.batch(), robot, now, {spec.order_id: note})
    assert Order.objects.get().client_id == ""


def test_keeps_what_it_was_told_first_of_an_order(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    send(pair[0], "1", "BTC", tape, now)
    spec = tape.accept(number(pair[0]), Side.SELL, 400_000, 10)
    of_it = (spec.account_id, 1, "mine", "", spec.side, spec.order_type, 400_000, 10, 0, spec.stp)
    note = Note(spec.order_id, *of_it)
    settle(tape.batch(), robot, now, {spec.order_id: note})
    clear_mirrors(actor=robot, now=now, reason="test")
    settle(tape.batch(), robot, now, {spec.order_id: replace(note, client_id="another")})
    assert Order.objects.get().client_id == "mine"


def test_counts_a_rebuild_from_where_the_mirrors_were_before_the_first_of_them(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    """A second one that begins in the middle of the first is not done where that one had come to."""
    a_deal(tape, pair, now)
    settle(tape.batch(), robot, now)
    for last in (2, len(tape.events)):
        clear_mirrors(actor=robot, now=now, reason="test")
        view = queries.settlement()
        assert (view.last_event_seq, view.settled_at) == (0, None)
        assert (view.rebuilt_to, view.is_rebuilding) == (len(tape.events), True)
        settle(tape.batch(1, last), robot, now)
    assert not queries.settlement().is_rebuilding


def test_says_why_it_stands_until_it_goes_on(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    before = AuditEvent.objects.count()
    for _ in range(2):
        halt_settlement(reason="Gap: event 7 came after 2", actor=robot, now=now)
    assert (queries.settlement().halted, AuditEvent.objects.count() - before) == (
        "Gap: event 7 came after 2",
        1,
    )
    settle(tape.batch(), robot, now)
    assert queries.settlement().halted == ""
