"""Reading one's own writes: settlement writes the rows a moment after the engine has acknowledged."""

from __future__ import annotations

from typing import Final

from engine_bridge import queries
from engine_bridge.models import EngineAccount
from trader_api import store
from trader_api.authentication import Trader

PATIENCE_S: Final = 2.0


def current(trader: Trader) -> EngineAccount | None:
    """The trader's account, once its rows hold what the trader was last told of, or after a short wait."""
    account = queries.account_of(trader.customer_id)
    if account is not None:
        newest = store.newest_ack(account.pk)
        if newest:
            queries.wait_for_settlement(newest, timeout_s=PATIENCE_S)
    return account
