"""A transfer between funding and trading, as it is begun, sent and closed, ..."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core import ledger
from core.actor import Actor
from core.audit.models import AuditEvent
from core.freezes.checking import Frozen
from core.freezes.models import Freeze
from core.ledger import AccountKind
from core.ledger.models import JournalEntry
from engine_bridge import locks, tasks
from engine_bridge.actions import clear_mirrors
from engine_bridge.actions.transfers import (
    BeyondAvailable,
    EmptyTransfer,
    OtherTransfer,
    UntradedAsset,
    start_transfer,
)
from engine_bridge.adapters import transfers
from engine_bridge.domain.movements import Break
from engine_bridge.domain.orders import Side
from engine_bridge.models import Transfer
from kernel.money import Amount
from tests.events import Tape
from tests.settling import counts, number, pair, send, settle, tape
from tests.traders import Trader
from tests.venue import give

__all__ = ["pair", "tape"]

pytestmark = pytest.mark.django_db


def start(trader: Trader, units: int, now: datetime, *, asset: str = "BTC", **told: Any) -> Transfer:
    return start_transfer(
        customer_id=trader.customer.pk,
        amount=Amount(units, asset),
        into_venue=told.pop("into_venue", True),
        actor=trader.actor,
        now=now,
        **told,
    )


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"units": 0}, EmptyTransfer),
        ({"units": -1}, EmptyTransfer),
        ({"units": 3 * 10**8}, ledger.entries.InsufficientFunds),  # type: ignore[attr-defined]
        ({"into_venue": False}, BeyondAvailable),
        ({"asset": "ETH"}, UntradedAsset),
    ],
)
def test_is_not_begun_where_it_cannot_be(
    pair: tuple[Trader, Trader], now: datetime, changes: dict[str, Any], refusal: type[Exception]
) -> None:
    give(pair[0].customer.pk, "1", "ETH")
    before, journal = AuditEvent.objects.count(), JournalEntry.objects.count()
    values: dict[str, Any] = {"units": 1} | changes
    with pytest.raises(refusal):
        start(pair[0], values.pop("units"), now, **values)
    assert Transfer.objects.count() == 0
    assert (AuditEvent.objects.count() - before, JournalEntry.objects.count() - journal) == (1, 0)


def test_is_not_begun_while_its_customer_or_its_asset_is_frozen(
    pair: tuple[Trader, Trader], now: datetime
) -> None:
    tom, tia = pair
    start(tia, 1, now, asset="USDT")
    for scope, trader, asset in ((f"customer:{tom.customer.pk}", tom, "BTC"), ("asset:USDT", tia, "USDT")):
        start(trader, 1, now, asset=asset)
        Freeze.objects.create(scope=scope, pulled_at=now, reason="a scene")
        for into_venue in (True, False):
            with pytest.raises(Frozen):
                start(trader, 1, now, asset=asset, into_venue=into_venue)
    assert Transfer.objects.count() == 3


@pytest.mark.parametrize("other", [{"units": 6}, {"asset": "USDT"}, {"into_venue": False}])
def test_is_no_other_one_under_a_used_client_id(
    pair: tuple[Trader, Trader], now: datetime, other: dict[str, Any]
) -> None:
    tom = pair[0]
    give(tom.customer.pk, "1", "USDT")
    assert start(tom, 5, now, client_id="one").pk == start(tom, 5, now, client_id="one").pk
    values: dict[str, Any] = {"units": 5} | other
    with pytest.raises(OtherTransfer):
        start(tom, values.pop("units"), now, client_id="one", **values)


def test_is_not_taken_for_another_customers_of_the_same_client_id(
    pair: tuple[Trader, Trader], now: datetime
) -> None:
    tom, tia = pair
    give(tia.customer.pk, "1", "BTC")
    found = [start(trader, 5, now, client_id="one") for trader in pair]
    assert [row.account_id for row in found] == [number(tom), number(tia)]


def test_takes_nothing_out_that_orders_hold(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    tom = pair[0]
    send(tom, "1", "BTC", tape, now)
    tape.accept(number(tom), Side.SELL, 400_000, 60_000)
    settle(tape.batch(), robot, now)
    with pytest.raises(BeyondAvailable):
        start(tom, 40_000_001, now, into_venue=False)
    assert start(tom, 40_000_000, now, into_venue=False).state == "pending"


def test_is_sent_again_before_those_that_were_begun_after_it(
    pair: tuple[Trader, Trader], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(transfers, "send", lambda target, moves: sent.extend(move.units for move in moves))
    for units, minutes in ((1, 2), (2, 1), (3, 3)):
        start(pair[0], units, now + timedelta(minutes=minutes))
    assert tasks.send_pending_transfers(limit=2) == 2
    assert sent == [2, 1]


def test_is_sent_no_more_once_it_is_closed(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine forgets its id one day, and would then take a late message for a new transfer."""
    sent: list[UUID] = []
    monkeypatch.setattr(transfers, "send", lambda target, moves: sent.extend(m.transfer_id for m in moves))
    row = send(pair[0], "1", "BTC", tape, now)
    tasks.send_transfer(transfer_id=row.pk)
    assert tasks.send_pending_transfers() == 1
    assert sent == [row.pk, row.pk]
    settle(tape.batch(), robot, now)
    tasks.send_transfer(transfer_id=row.pk)
    assert tasks.send_pending_transfers() == 0
    assert sent == [row.pk, row.pk]


def test_is_closed_when_it_can_be_read_as_pending_no_more_however_old_its_event_is(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime
) -> None:
    """From then on its day runs until the engine may forget it."""
    row = send(pair[0], "1", "BTC", tape, now)
    for late in (timedelta(days=30), timedelta(days=31)):
        settle(tape.batch(), robot, now + late)
        clear_mirrors(actor=robot, now=now + late, reason="test")
        row.refresh_from_db()
        found = (row.state, row.event_seq, row.closed_at)
        assert found == ("settled", tape.events[-1].event_seq, now + timedelta(days=30))


def test_is_not_closed_over_another_outcome(
    tape: Tape, pair: tuple[Trader, Trader], robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a claim ever not hold: the row moves from where it was seen, or not at all."""
    row = send(pair[0], "1", "BTC", tape, now)
    before, claim = counts(), locks.transfers

    def overtaken(ids: Iterable[UUID]) -> dict[UUID, Transfer]:
        rows = claim(ids)
        Transfer.objects.filter(pk=row.pk).update(state="refused")
        return rows

    monkeypatch.setattr(locks, "transfers", overtaken)
    with pytest.raises(Break, match="moved on while it was being closed"):
        settle(tape.batch(), robot, now)
    assert counts() == before
    transit = ledger.account(AccountKind.IN_TRANSIT, "BTC", pair[0].customer.pk)
    assert str(ledger.balance(transit).posted) == "1"
