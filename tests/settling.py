"""What settlement is given in tests: traders who are known here, a tape of events, a feed that tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from core.actor import Actor
from core.audit.models import AuditEvent
from core.ledger.models import JournalEntry
from engine_bridge import queries
from engine_bridge.actions import settle_batch
from engine_bridge.actions.accounts import open_account
from engine_bridge.actions.markets import list_market
from engine_bridge.actions.transfers import start_transfer
from engine_bridge.adapters import transfers
from engine_bridge.domain.events import Batch, Note
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.models import Fill, Order, TradingBalance, Transfer
from kernel.money import Amount
from tests.events import BTC, USDT, Tape
from tests.traders import Trader, enrol
from tests.venue import give


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
