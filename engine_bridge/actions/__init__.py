"""What can be done at the venue's edge."""

from engine_bridge.actions.bands import ask_band, narrow_band
from engine_bridge.actions.fees import ask_fee_level
from engine_bridge.actions.halts import ask_market_release, stop_market
from engine_bridge.actions.rebuilding import rebuild_mirrors
from engine_bridge.actions.settlement import clear_mirrors, halt_settlement, settle_batch
from engine_bridge.actions.transfers import start_transfer
from engine_bridge.actions.verifying import ask_verification

__all__ = [
    "ask_band",
    "ask_fee_level",
    "ask_market_release",
    "ask_verification",
    "clear_mirrors",
    "halt_settlement",
    "narrow_band",
    "rebuild_mirrors",
    "settle_batch",
    "start_transfer",
    "stop_market",
]
