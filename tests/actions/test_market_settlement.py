"""Settling a batch ..."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from core import ledger
from core.actor import Actor
from core.audit.models import AuditEvent
from core.ledger import AccountKind
from core.ledger.entries import ReferenceReused
from core.ledger.invariants import broken
from core.ledger.models import JournalEntry
from engine_bridge import locks, queries
from engine_bridge.actions import clear_mirrors, halt_settlement, settle_batch
from engine_bridge.actions.accounts import open_account
from engine_bridge.actions.markets import list_market
from engine_bridge.actions.settlement import Gap, HistoryLost, StaleEpoch
from engine_bridge.actions.transfers import start_transfer
from engine_bridge.domain.commands import client_mark
from engine_bridge.domain.events import Batch, Note, Rejected
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.domain.movements import Break
from engine_bridge.domain.orders import OrderType, Side, StpMode
from engine_bridge.models import EngineCursor, Fill, Order, TradingBalance, Transfer
from kernel.money import Amount
from tests.events import BTC, USDT, Tape
from tests.traders import Trader, enrol
from tests.venue import give

pytestmark = pytest.mark.django_db


@pytest.fixture
def tape() -> Tape:
    written = Tape()
    written.open_market()
    return written


@pytest.fixture
def pair(db: None, robot: Actor, now: datetime) -> tuple[Trader, Trader]:
    """Tom and Tia, engine accounts opened, one market listed."""
    list_market(listing=LISTINGS[0], actor=robot, now=now)
    found = enrol("Tom", now=now), enrol("Tia", now=now)
    for trader, text, asset in zip(found, ("2", "200000"), ("BTC", "USDT"), strict=True):
        open_account(customer_id=trader.customer.pk, now=now)
        give(trader.customer.pk, text, asset)
    return found


def number(trader: Trader) -> int:
    found = queries.account_of(trader.customer.pk)
    assert found is not None
    return found.pk


def send(trader: Trader, text: str, asset: str, tape: Tape, now: datetime, **told: Any) -> Transfer:
    """Start a transfer and have the engine close it on the tape."""
    amount = Amount.parse(text, asset)
    row = start_transfer(
        customer_id=trader.customer.pk,
        amount=amount,
        into_venue=told.get("into", True),
        actor=trader.actor,
        now=now,
    )
    tape.transfer(row.pk, number(trader), BTC if asset == "BTC" else USDT, amount.units, **told)
    return row


def settle(batch: Batch, robot: Actor, now: datetime, notes: dict[int, Note] | None = None) -> None:
    settle_batch(batch=batch, notes=notes or {}, actor=robot, now=now)


def counts() -> tuple[int, ...]:
    return (
        JournalEntry.objects.count(),
        Order.objects.count(),
        Fill.objects.count(),
        TradingBalance.objects.count(),
        AuditEvent.objects.exclude(doc__action__endswith=".failed").count(),
        queries.settlement().last_event_seq,
    )


def a_deal(tape: Tape, pair: tuple[Trader, Trader], now: datetime) -> None:
    tom, tia = pair
    send(tom, "1", "BTC", tape, now)
    send(tia, "100000", "USDT", tape, now)
    tape.cross(number(tom), number(tia), 400_000, 1_000, part=400)


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


def test_stops_at_a_transfer_that_nobody_started(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    tape.transfer(uuid4(), number(pair[0]), BTC, 5)
    before = counts()
    with pytest.raises(Break):
        settle(tape.batch(), robot, now)
    assert counts() == before


@pytest.mark.parametrize("told", [{"units": 1}, {"asset": USDT}, {"into": False}, {"other": True}])
def test_stops_at_a_transfer_with_other_contents(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime, told: dict[str, Any]
) -> None:
    tom = pair[0]
    amount = Amount.parse("1", "BTC")
    row = start_transfer(
        customer_id=tom.customer.pk, amount=amount, into_venue=True, actor=tom.actor, now=now
    )
    contents = {"asset": BTC, "units": amount.units, "into": True} | told
    account = number(pair["other" in told])
    tape.transfer(row.pk, account, contents["asset"], contents["units"], into=contents["into"])
    with pytest.raises(Break):
        settle(tape.batch(), robot, now)
    row.refresh_from_db()
    assert row.state == "pending"


def test_stops_at_a_second_outcome_of_one_transfer(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    row = send(pair[0], "1", "BTC", tape, now)
    tape.transfer(row.pk, number(pair[0]), BTC, row.units)
    with pytest.raises(Break, match="has two outcomes"):
        settle(tape.batch(), robot, now)
    settle(tape.batch(1, 2), robot, now)
    clear_mirrors(actor=robot, now=now, reason="test")
    told = Tape()
    told.open_market()
    told.transfer(row.pk, number(pair[0]), BTC, row.units, refusal="OVERFLOW")
    with pytest.raises(Break, match="has two outcomes"):
        settle(told.batch(), robot, now)


def test_stops_at_an_account_that_was_never_opened(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    tape.cross(901, 902, 400_000, 1)
    with pytest.raises(Break):
        settle(tape.batch(), robot, now)


def test_stops_at_a_refused_order_of_such_an_account_too(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    tape.write(Rejected(1, 901, "WOULD_TAKE"))
    stp = StpMode.CANCEL_MAKER
    note = Note(1, 901, 1, "mine", "", Side.SELL, OrderType.POST_ONLY, 1, 1, 0, stp)
    with pytest.raises(Break, match="accounts that were never opened"):
        settle(tape.batch(), robot, now, {1: note})


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


def test_stops_at_a_trade_that_was_posted_with_other_legs(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    """A rebuild holds each posting against its event once more."""
    tom, tia = pair
    a_deal(tape, pair, now)
    settle(tape.batch(), robot, now)
    clear_mirrors(actor=robot, now=now, reason="test")
    other, before = Tape(tape.events[:3]), counts()
    other.cross(number(tom), number(tia), 400_000, 1_000, part=399)
    with pytest.raises(ReferenceReused):
        settle(other.batch(), robot, now)
    assert counts() == before
    settle(tape.batch(), robot, now)


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
