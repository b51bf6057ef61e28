"""The trader API's entry, in a process of its own: as it is, but that it waits for a busy machine."""

from __future__ import annotations

from backoffice.asgi import trader  # makes Django ready, so it comes first
from engine_bridge import gateway
from engine_bridge.adapters import client, session
from trader_api import recency
from trader_api.views import funding

__all__ = ["trader"]

gateway.ORDER_LIFETIME_MS = gateway.CANCELLATION_LIFETIME_MS  # type: ignore[misc]
client.CONNECT_S = session.HELLO_TIMEOUT_S = 30.0  # type: ignore[misc]
recency.PATIENCE_S = funding.TRANSFER_PATIENCE_S = 30.0  # type: ignore[misc]
