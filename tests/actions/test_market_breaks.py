"""Settlement, given what cannot be true of the books, ..."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from core.actor import Actor
from core.ledger.entries import ReferenceReused
from engine_bridge.actions import clear_mirrors
from engine_bridge.actions.transfers import start_transfer
from engine_bridge.domain.events import Note, Rejected
from engine_bridge.domain.movements import Break
from engine_bridge.domain.orders import OrderType, Side, StpMode
from kernel.money import Amount
from tests.events import BTC, USDT, Tape
from tests.settling import a_deal, counts, number, pair, send, settle, tape
from tests.traders import Trader

__all__ = ["pair", "tape"]

pytestmark = pytest.mark.django_db


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
