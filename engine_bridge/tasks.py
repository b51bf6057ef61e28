"""Joins what actions decided to what the engine does; run from subscribers and from the settlement daemon."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from core.actor import system
from engine_bridge import queries
from engine_bridge.actions.halts import stop_frozen_market
from engine_bridge.adapters import administration, feed, inspection, transfers
from engine_bridge.adapters.channel import EngineRefused
from engine_bridge.domain import assets
from engine_bridge.domain.commands import MoveFunds
from engine_bridge.domain.markets import STOPS, TRADES, way_to_open
from engine_bridge.domain.transfers import TransferState
from engine_bridge.models import Instrument, Transfer

FREEZER: Final = system("frozen-markets")


def send_transfer(*, transfer_id: UUID) -> None:
    """Hand one transfer to the engine, if it is still pending. Its event closes it; EngineAway is tried
    again.
    """
    row = Transfer.objects.filter(pk=transfer_id, state=TransferState.PENDING).first()
    if row is not None:
        transfers.send(settings.ENGINE_TRANSFERS_TARGET, [_move(row)])


def send_pending_transfers(*, limit: int = transfers.BATCH_MAX) -> int:
    """Hand the oldest pending transfers to the engine; how many there were. EngineAway."""
    rows = list(Transfer.objects.filter(state=TransferState.PENDING).order_by("created_at", "pk")[:limit])
    if rows:
        transfers.send(settings.ENGINE_TRANSFERS_TARGET, [_move(row) for row in rows])
    return len(rows)


STEPS_MAX = 4
"""So often officers may change their mind while one worker tells the engine; then the next one goes on."""


def assert_market_state(*, instrument: int, now: datetime) -> None:
    """Tell the engine the state that officers want of a market, if it is in another. EngineAway.

    The engine is asked, since the row's own state is as old as settlement: a market that was stopped and
    released in between still reads as open there. It is asked before the row is read, and told only while its
    state is the one that was seen: so an auction that is over for this release is not another release's. And
    the row is read again once the engine has been told: whoever stopped the market meanwhile may have had
    nothing to tell, since it was not open yet.
    """
    told: tuple[str, datetime | None] | None = None
    for _ in range(STEPS_MAX):
        seen = administration.seen(settings.ENGINE_ADMIN_TARGET)
        row = Instrument.objects.filter(pk=instrument).exclude(wanted_state="").first()
        if row is None or told == (row.wanted_state, row.call_until):
            return
        if seen.states.get(row.pk) == row.wanted_state:
            return
        try:
            _tell(row, seen, now=now)
        except administration.Overtaken:
            continue
        told = (row.wanted_state, row.call_until)


def _tell(row: Instrument, seen: administration.Seen, *, now: datetime) -> None:
    target, step = settings.ENGINE_ADMIN_TARGET, row.wanted_state
    if step != "open":
        # A stop is one whatever happened since.
        administration.set_state(target, instrument=row.pk, state=step)
        return
    state = seen.states.get(row.pk, "unlisted")
    way = way_to_open(state, call_until=row.call_until, now=now)
    if way == "run_auction":
        administration.run_auction(target, instrument=row.pk, seen_seq=seen.engine_seq)
    elif way is not None:
        administration.set_state(target, instrument=row.pk, state=way, seen_seq=seen.engine_seq)


def stop_frozen_markets(*, now: datetime) -> None:
    """Want those stopped that a freeze covers, whether or not its message has come."""
    for symbol in queries.to_be_frozen():
        stop_frozen_market(symbol=symbol, actor=FREEZER, now=now)


def confirm_leader(*, now: datetime) -> None:
    """Let an engine that has just begun to lead take orders, once nobody can trade there in a market that
    officers stopped or froze while nobody led. EngineAway, EngineRefused: it takes none, and whoever comes
    next confirms it.

    Its epoch is read first. So whoever is slow confirms no later leader, whose markets it has not looked at.
    And one whose events are others than those that were settled, or end before them, is not confirmed: what
    it traded would be told under numbers that settlement has behind it.
    """
    target = settings.ENGINE_ADMIN_TARGET
    # First: what is settled by then, the engine has told by then.
    known, last = queries.known_event_seq(), queries.last_event()
    found = administration.status(target)
    if not found.awaits_confirmation:
        return
    if found.event_seq < known:
        raise EngineRefused(f"its events end at {found.event_seq}, and {known} were settled")
    if last and feed.place_of(target, last.event_seq) not in (None, (last.engine_seq, last.at)):
        raise EngineRefused(f"its event {last.event_seq} is another one than was settled")
    stop_frozen_markets(now=now)
    states = administration.listed(target)
    for row in Instrument.objects.filter(wanted_state__in=STOPS):
        if states.get(row.pk) in TRADES:
            administration.set_state(target, instrument=row.pk, state=row.wanted_state)
    administration.confirm(target, epoch=found.epoch)


def assert_market_states(*, now: datetime) -> None:
    """The same for every market: what a lost message left undone is done here, and auctions end.

    By the engine's own word, since rows are as old as settlement, which may stand still. An engine that waits
    for it is confirmed first, and then looked at again: what was stopped in between is stopped here.
    """
    confirm_leader(now=now)
    stop_frozen_markets(now=now)
    wanted = dict(Instrument.objects.exclude(wanted_state="").values_list("pk", "wanted_state"))
    if not wanted:
        return
    states = administration.listed(settings.ENGINE_ADMIN_TARGET)
    for number, state in wanted.items():
        if states.get(number, "unlisted") != state:
            assert_market_state(instrument=number, now=now)


def verify_journal() -> None:
    """Have the engine read its closed segments again, if it does not already. EngineAway is tried again."""
    inspection.verify(settings.ENGINE_ADMIN_TARGET, begin=True)


def _move(row: Transfer) -> MoveFunds:
    return MoveFunds(
        transfer_id=row.pk,
        account_id=row.account_id,
        asset_id=assets.number(row.asset),
        units=row.units,
        into_venue=row.into_venue,
    )
