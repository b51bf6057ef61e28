"""Rate limits of OKX's table: so many requests per 2 s, by user, by user and instrument, or by address.

ccxt paces itself to that table, so a limit is never stricter. We count in fixed windows of 2 s; since a
client's pace may drift against our windows, each admits a fifth more than the table says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rest_framework.request import Request

from trader_api import store
from trader_api.errors import ApiError

if TYPE_CHECKING:
    from trader_api.authentication import Trader

SLACK_PERCENT: Final = 20


@dataclass(frozen=True, slots=True)
class Limit:
    """`bucket` names what is shared; `requests` may be made in `window_ms`."""

    bucket: str
    requests: int
    window_ms: int = 2000

    @property
    def admitted(self) -> int:
        return self.requests + max(1, self.requests * SLACK_PERCENT // 100)


TIME: Final = Limit("time", 10)
INSTRUMENTS: Final = Limit("instruments", 20)
STATUS: Final = Limit("status", 1, window_ms=5000)
BOOKS: Final = Limit("books", 40)
TICKERS: Final = Limit("tickers", 20)
TRADES: Final = Limit("trades", 100)
BALANCE: Final = Limit("balance", 10)
CONFIG: Final = Limit("config", 5)
ASSET_READ: Final = Limit("asset-read", 12)
WITHDRAWAL: Final = Limit("withdrawal", 12)
TRANSFER: Final = Limit("transfer", 4)
TRANSFER_STATE: Final = Limit("transfer-state", 20)
PLACE: Final = Limit("place", 60)
CANCEL: Final = Limit("cancel", 60)
PLACE_BATCH: Final = Limit("place-batch", 300)
CANCEL_BATCH: Final = Limit("cancel-batch", 300)
ORDER_READ: Final = Limit("order-read", 60)
HISTORY: Final = Limit("history", 40)
FILLS: Final = Limit("fills", 60)
FILLS_HISTORY: Final = Limit("fills-history", 10)
SIGN_UP: Final = Limit("sign-up", 10, window_ms=60_000)
KYC: Final = Limit("kyc", 5)
STATEMENTS: Final = Limit("statements", 5)


def count_by_address(limit: Limit, request: Request, *, endpoint: str, now: datetime) -> None:
    """Count a public request to one endpoint; 50011 above the limit."""
    _count(limit, f"{endpoint}:{address_of(request)}", 1, now)


def count_by_user(limit: Limit, trader: Trader, *, what: str, now: datetime, weight: int = 1) -> None:
    """Count a private request to one endpoint, or orders in one instrument; 50011 above the limit."""
    _count(limit, f"{trader.customer_id}:{what}", weight, now)


def count_by_name(limit: Limit, who: str, *, now: datetime) -> None:
    """Count for whatever is named here; 50011 above the limit."""
    _count(limit, who, 1, now)


def address_of(request: Request) -> str:
    """Where the request came from, as the door's middleware saw it."""
    actor = getattr(request._request, "actor", None)
    return (actor.ip if actor is not None else "") or str(request.META.get("REMOTE_ADDR", "")) or "unknown"


def _count(limit: Limit, who: str, weight: int, now: datetime) -> None:
    moment = int(now.timestamp() * 1000)
    used = store.count(f"{limit.bucket}:{who}", weight=weight, now_ms=moment, window_ms=limit.window_ms)
    if used > limit.admitted:
        raise ApiError("50011", "Too many requests.", retry_after_s=max(1, limit.window_ms // 1000))
