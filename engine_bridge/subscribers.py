"""Answers to messages of the outbox; each may come twice."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import outbox
from core.freezes.events import FreezePulled
from engine_bridge import tasks
from engine_bridge.events import JournalVerifyAsked, MarketStateWanted, TransferStarted


@outbox.subscriber(TransferStarted, name="engine.send_transfer")
def send_transfer(message: TransferStarted, *, now: datetime) -> None:
    """Give the transfer to the engine."""
    tasks.send_transfer(transfer_id=UUID(message.transfer))


@outbox.subscriber(MarketStateWanted, name="engine.set_market_state")
def set_market_state(message: MarketStateWanted, *, now: datetime) -> None:
    """Tell the engine what is wanted by now."""
    tasks.assert_market_state(instrument=message.instrument, now=now)


@outbox.subscriber(FreezePulled, name="engine.stop_frozen_markets")
def stop_frozen_markets(message: FreezePulled, *, now: datetime) -> None:
    """Stop whatever is frozen by now; the engine is told by the message that this leaves."""
    tasks.stop_frozen_markets(now=now)


@outbox.subscriber(JournalVerifyAsked, name="engine.verify_journal")
def verify_journal(message: JournalVerifyAsked, *, now: datetime) -> None:
    """Tell the engine to begin; one that is under way goes on."""
    tasks.verify_journal()
