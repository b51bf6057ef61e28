"""Settlement: what the engine did, written down once. It may not reject a trade; what cannot be true stops
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db.models import F

from core import audit
from core.action import action
from core.actor import Actor
from core.copying import Among
from core.ledger import AccountKind
from core.ledger import accounts as ledger_accounts
from core.ledger.accounts import Key
from core.ledger.bulk import Draft, post_all
from engine_bridge import locks
from engine_bridge.actions import alerts, mirrors
from engine_bridge.domain.bookkeeping import Bookkeeper, orders_opened, orders_touched
from engine_bridge.domain.events import Batch, Note
from engine_bridge.domain.movements import Break
from engine_bridge.domain.records import FEE_ACCOUNT, Changes, TradeEntry, TransferEntry
from engine_bridge.domain.transfers import TransferState, move
from engine_bridge.events import Event
from engine_bridge.models import (
    EngineAccount,
    EngineCursor,
    Fill,
    Instrument,
    Order,
    ToldFees,
    TradingBalance,
    Transfer,
)
from kernel.money import Amount


class Gap(Break):
    """Events are missing between what was settled and what came."""


class HistoryLost(Break):
    """The engine's events are others than those that were settled, or end before them: it runs on another
    journal, or has lost the end of its own.
    """


class StaleEpoch(Break):
    """The events come from a leader that has been replaced."""


@action(Event.BATCH_SETTLED)
def settle_batch(
    *, batch: Batch, notes: Mapping[int, Note], actor: Actor, now: datetime, shard: int = locks.SHARD
) -> EngineCursor:
    """Write the batch's orders, fills, balances and postings, and move the cursor past it: all or nothing.

    Events at or below the cursor are left out, so a batch that comes twice changes nothing the second time.
    HistoryLost where the one at the cursor comes again as another one.
    """
    cursor = locks.cursor(shard)
    if batch.epoch < cursor.epoch:
        raise StaleEpoch(f"a batch of epoch {batch.epoch} after epoch {cursor.epoch}")
    if batch.first_event_seq > cursor.last_event_seq + 1:
        raise Gap(f"event {batch.first_event_seq} came after {cursor.last_event_seq}")
    _same_history(batch, cursor)
    events = [event for event in batch.events if event.event_seq > cursor.last_event_seq]
    if not events:
        return cursor
    expected = range(cursor.last_event_seq + 1, cursor.last_event_seq + 1 + len(events))
    if [event.event_seq for event in events] != list(expected):
        raise Gap(f"the events after {cursor.last_event_seq} are not consecutive")
    opened = orders_opened(events)
    stored = mirrors.store_notes(notes, wanted=opened)
    keeper = Bookkeeper(
        orders=mirrors.orders(orders_touched(events) - opened),
        notes=stored,
        scales={row.pk: row.scale for row in Instrument.objects.all()},
        fees=mirrors.own_fees(),
    )
    for event in events:
        keeper.apply(event)
    _write(keeper.changes, opened, now=now)
    before = cursor.last_event_seq
    cursor.last_event_seq, cursor.last_engine_seq = events[-1].event_seq, events[-1].engine_seq
    cursor.last_event_at = events[-1].at
    cursor.epoch, cursor.settled_at, cursor.halted = batch.epoch, now, ""
    moved = EngineCursor.objects.filter(shard=shard, last_event_seq=before, epoch__lte=batch.epoch).update(
        last_event_seq=cursor.last_event_seq,
        last_engine_seq=cursor.last_engine_seq,
        last_event_at=cursor.last_event_at,
        epoch=cursor.epoch,
        settled_at=cursor.settled_at,
        halted=cursor.halted,
    )
    if moved != 1:
        raise Gap("another consumer settled in the meantime")
    audit.record(
        Event.BATCH_SETTLED,
        cursor,
        actor=actor,
        now=now,
        before={"event": before},
        after={
            "event": events[-1].event_seq,
            "epoch": batch.epoch,
            "orders": len(keeper.changes.orders),
            "fills": len(keeper.changes.fills),
        },
    )
    return cursor


@action(Event.SETTLEMENT_HALTED)
def halt_settlement(*, reason: str, actor: Actor, now: datetime, shard: int = locks.SHARD) -> EngineCursor:
    """Say on the cursor why settlement stands, and tell people once that it does.

    The same reason again changes nothing; another one is written down, and people know already.
    """
    cursor = locks.cursor(shard)
    if cursor.halted == reason:
        return cursor
    EngineCursor.objects.filter(pk=cursor.pk, halted=cursor.halted).update(halted=reason)
    audit.record(Event.SETTLEMENT_HALTED, cursor, actor=actor, now=now, reason=reason)
    if not cursor.halted:
        alerts.settlement_stands(cursor, reason, now=now)
    cursor.halted = reason
    return cursor


@action(Event.MIRRORS_CLEARED)
def clear_mirrors(*, actor: Actor, now: datetime, reason: str, shard: int = locks.SHARD) -> int:
    """Empty orders, fills, balances and told fees and set the cursor to nothing: settlement makes them again.

    The ledger, the transfers and the notes stay: postings are found by their references and not repeated.
    """
    cursor = locks.cursor(shard)
    reached = cursor.last_event_seq
    Fill.objects.all().delete()
    Order.objects.all().delete()
    TradingBalance.objects.all().delete()
    ToldFees.objects.all().delete()
    EngineCursor.objects.filter(pk=cursor.pk, last_event_seq=reached).update(
        last_event_seq=0,
        last_engine_seq=0,
        last_event_at=None,
        settled_at=None,
        rebuilt_to=max(reached, cursor.rebuilt_to),
    )
    audit.record(
        Event.MIRRORS_CLEARED, cursor, actor=actor, now=now, before={"event": reached}, reason=reason
    )
    return reached


def _same_history(batch: Batch, cursor: EngineCursor) -> None:
    at = cursor.last_event_seq - batch.first_event_seq
    if cursor.last_event_at is None or not 0 <= at < len(batch.events):
        return
    again = batch.events[at]
    told, was = (again.engine_seq, again.at), (cursor.last_engine_seq, cursor.last_event_at)
    if told != was:
        settled, found = (f"command {number} at {moment.isoformat()}" for number, moment in (was, told))
        raise HistoryLost(
            f"event {cursor.last_event_seq} was settled as of {settled}, and is told of {found}"
        )


def _write(changes: Changes, opened: Iterable[int], *, now: datetime) -> None:
    owners = _owners(changes)
    closed = [entry for entry in changes.entries if isinstance(entry, TransferEntry)]
    transfers = locks.transfers(entry.transfer_id for entry in closed)
    mirrors.write_orders(changes.orders, opened=set(opened))
    mirrors.write_fills(changes.fills)
    mirrors.write_balances(changes)
    mirrors.write_states(changes.states)
    mirrors.write_fees(changes.fees)
    # One statement for all postings: what arrives and what is traded on reach an account together.
    ends = {entry.transfer_id: _close(entry, transfers, now=now) for entry in closed}
    post_all(_drafts(changes, owners, ends))


def _owners(changes: Changes) -> dict[int, UUID]:
    """Engine account to customer; Break where the engine names one that we never opened."""
    numbers = changes.accounts() | {record.spec.account_id for record in changes.orders.values()}
    owners = dict(EngineAccount.objects.filter(Among(F("pk"), numbers)).values_list("pk", "identity_id"))
    if missing := numbers - owners.keys():
        raise Break(f"the engine names accounts that were never opened: {sorted(missing)[:5]}")
    return owners


def _drafts(changes: Changes, owners: Mapping[int, UUID], transfers: Mapping[UUID, Transfer]) -> list[Draft]:
    """The journal entries of trades and transfers, in the order of their events."""

    def trading(number: int, asset: str) -> Key:
        if number == FEE_ACCOUNT:
            return AccountKind.ENGINE_FEES, asset, None
        return AccountKind.CUSTOMER_TRADING, asset, owners[number]

    keys = {(number, asset): trading(number, asset) for number, asset in changes.balances}
    wanted = set(keys.values())
    ends: dict[UUID, tuple[Key, Key]] = {}
    for row in transfers.values():
        if (found := _ends(row)) is not None:
            ends[row.pk] = found
            wanted.update(found)
    ids = {key: str(account) for key, account in ledger_accounts.found(wanted).items()}
    numbers = {key: ids[account] for key, account in keys.items()}
    drafts: list[Draft] = []
    for entry in changes.entries:
        if isinstance(entry, TradeEntry):
            legs = [(numbers[number, asset], asset, units) for number, asset, units in entry.legs]
            drafts.append(Draft("engine.trade", f"{locks.SHARD}/{entry.trade_id}", legs, entry.at))
        elif entry.transfer_id in ends:
            source, target = ends[entry.transfer_id]
            units, asset = entry.amount.units, entry.amount.asset
            legs = [(ids[source], asset, -units), (ids[target], asset, units)]
            kind = "engine.transfer_returned" if entry.refusal else "engine.transfer_settled"
            drafts.append(Draft(kind, str(entry.transfer_id), legs, entry.at))
    return drafts


def _ends(row: Transfer) -> tuple[Key, Key] | None:
    """From which account to which a closed transfer's money goes; None where it stays."""
    funding, transit, trading = (
        (kind, row.asset, row.account.identity_id)
        for kind in (AccountKind.CUSTOMER_FUNDING, AccountKind.IN_TRANSIT, AccountKind.CUSTOMER_TRADING)
    )
    if row.state == TransferState.REFUSED:
        return (transit, funding) if row.into_venue else None
    return (transit, trading) if row.into_venue else (trading, funding)


def _close(entry: TransferEntry, transfers: Mapping[UUID, Transfer], *, now: datetime) -> Transfer:
    """The transfer's row in its last state; Break where the engine speaks of another one.

    It is closed now, however old its event is: until now a sender could read that it is pending.
    """
    row = transfers.get(entry.transfer_id)
    if row is None:
        raise Break(f"the engine closed transfer {entry.transfer_id}, which was never started")
    amount = Amount(row.units, row.asset)
    if (row.account_id, amount, row.into_venue) != (entry.account_id, entry.amount, entry.into_venue):
        raise Break(f"the engine closed transfer {row.pk} with other contents")
    outcome = TransferState.REFUSED if entry.refusal else TransferState.SETTLED
    if row.event_seq is None:
        state = move(TransferState(row.state), outcome)
        changed = Transfer.objects.filter(pk=row.pk, state=TransferState.PENDING).update(
            state=state, reason=entry.refusal, event_seq=entry.event_seq, closed_at=now
        )
        if changed != 1:
            raise Break(f"transfer {row.pk} moved on while it was being closed")
        row.state, row.event_seq = state, entry.event_seq
    elif (row.event_seq, row.state) != (entry.event_seq, outcome):
        raise Break(f"transfer {row.pk} has two outcomes: event {row.event_seq} and event {entry.event_seq}")
    return row
