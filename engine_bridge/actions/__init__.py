"""What can be done at the venue's edge."""

from engine_bridge.actions.halts import ask_market_release, stop_market
from engine_bridge.actions.rebuilding import rebuild_mirrors
from engine_bridge.actions.settlement import clear_mirrors, halt_settlement, settle_batch
from engine_bridge.actions.transfers import start_transfer
from engine_bridge.actions.verifying import ask_verification

__all__ = [
    "ask_market_release",
    "ask_verification",
    "clear_mirrors",
    "halt_settlement",
    "rebuild_mirrors",
    "settle_batch",
    "start_transfer",
    "stop_market",
]
