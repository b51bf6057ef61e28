"""What the bridge writes into the audit log and announces."""

from __future__ import annotations

from enum import StrEnum

from core import outbox


class Event(StrEnum):
    """Acts on the venue's edge."""

    BATCH_SETTLED = "engine.settlement.batch"
    SETTLEMENT_HALTED = "engine.settlement.halted"
    MIRRORS_CLEARED = "engine.settlement.mirrors_cleared"
    TRANSFER_STARTED = "engine.transfer.started"
    MARKET_LISTED = "engine.market.listed"
    MARKET_STOPPED = "engine.market.stopped"
    MARKET_RELEASE_ASKED = "engine.market.release_asked"
    MARKET_RELEASED = "engine.market.released"
    MARKET_BAND_ASKED = "engine.market.band_asked"
    MARKET_BAND_WANTED = "engine.market.band_wanted"
    MARKET_BAND_TOLD = "engine.market.band_told"
    MARKET_BAND_DEVIATED = "engine.market.band_deviated"
    FEES_ASKED = "engine.fees.asked"
    FEES_APPROVED = "engine.fees.approved"
    FEES_CONFIRMED = "engine.fees.confirmed"
    FEES_DEVIATED = "engine.fees.deviated"
    JOURNAL_VERIFY_ASKED = "engine.journal.verify_asked"
    HANDOVER_BEGUN = "engine.journal.handover_begun"


@outbox.message("engine.transfer_started")
class TransferStarted:
    """A transfer waits for the engine; whoever reads this sends it."""

    transfer: str


@outbox.message("engine.market_state_wanted")
class MarketStateWanted:
    """Officers want a market in another state; whoever reads this tells the engine what stands on its row."""

    instrument: int


@outbox.message("engine.market_band_wanted")
class MarketBandWanted:
    """Officers want another price band; whoever reads this tells the engine what stands on its row."""

    instrument: int


@outbox.message("engine.fees_wanted")
class FeesWanted:
    """Officers want other fees of an account; whoever reads this tells the engine what stands on its row."""

    account: int


@outbox.message("engine.journal_verify_asked")
class JournalVerifyAsked:
    """An officer wants the journal verified; whoever reads this tells the engine to begin."""

    asked_at: str
