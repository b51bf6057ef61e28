"""Answers to messages of the outbox; each may come twice."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import outbox
from core.freezes.events import FreezePulled
from engine_bridge import banding, charging, tasks
from engine_bridge.events import (
    FeesWanted,
    JournalVerifyAsked,
    MarketBandWanted,
    MarketStateWanted,
    TransferStarted,
)


@outbox.subscriber(TransferStarted, name="engine.send_transfer")
def send_transfer(message: TransferStarted, *, now: datetime) -> None:
    """Give the transfer to the engine."""
    tasks.send_transfer(transfer_id=UUID(message.transfer))


@outbox.subscriber(MarketStateWanted, name="engine.set_market_state")
def set_market_state(message: MarketStateWanted, *, now: datetime) -> None:
    """Tell the engine what is wanted by now."""
    tasks.assert_market_state(instrument=message.instrument, now=now)


@outbox.subscriber(MarketBandWanted, name="engine.set_price_band")
def set_price_band(message: MarketBandWanted, *, now: datetime) -> None:
    """Tell the engine the band that is wanted by now."""
    banding.assert_band(instrument=message.instrument, now=now)


@outbox.subscriber(FeesWanted, name="engine.set_account_fees")
def set_account_fees(message: FeesWanted, *, now: datetime) -> None:
    """Tell the engine the fees that are wanted by now."""
    charging.assert_fees(account=message.account)


@outbox.subscriber(FreezePulled, name="engine.stop_frozen_markets")
def stop_frozen_markets(message: FreezePulled, *, now: datetime) -> None:
    """Stop whatever is frozen by now; the engine is told by the message that this leaves."""
    tasks.stop_frozen_markets(now=now)


@outbox.subscriber(JournalVerifyAsked, name="engine.verify_journal")
def verify_journal(message: JournalVerifyAsked, *, now: datetime) -> None:
    """Tell the engine to begin; one that is under way goes on."""
    tasks.verify_journal()
