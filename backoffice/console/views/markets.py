"""Markets, and how well the engine and its settlement do."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame
from core import access, clock
from core.approvals import queries as approvals
from core.approvals.models import ApprovalRequest
from core.freezes.domain import scopes
from core.freezes.queries import covering
from core.refusals import Refused
from engine_bridge import actions, queries, sighting
from engine_bridge.domain.markets import STOPS
from engine_bridge.models import Instrument
from engine_bridge.permissions import Permission

DEPTH: Final = 12
TRADES: Final = 20


def index(request: frame.StaffRequest) -> HttpResponse:
    """Every market with its day, and settlement's state."""
    now = clock.now()
    markets = queries.markets_for(request.identity, now=now)
    values = {
        "markets": [(market, sighting.state_of(market.instrument, now=now)) for market in markets],
        "settlement": queries.settlement_for(request.identity, now=now),
    }
    return frame.page(request, "console/markets.html", values, now=now)


def show(request: frame.StaffRequest, symbol: str, refusal: Refused | None = None) -> HttpResponse:
    """One market: its terms, its book, its last trades, and the forms that stop and release it."""
    now = clock.now()
    market = queries.market_for(request.identity, symbol, now=now)
    book = sighting.book_of(market.instrument, depth=DEPTH, now=now)
    state = sighting.state_of(market.instrument, now=now)
    values = {
        "market": market,
        "state": state,
        "book": book,
        "trades": queries.public_trades(market.instrument)[:TRADES],
        "settlement": queries.settlement_for(request.identity, now=now),
        "stops": sorted(STOPS),
        "is_stopped": market.instrument.is_stopped,
        "freezes": covering(scopes.market(symbol)),
        "opens_at": market.instrument.call_until if state.state == "auction" else None,
        "band": market.instrument.band,
        "band_request": _open_band(request, market.instrument, now),
        "release": _open_release(request, market.instrument, now),
        "may_stop": access.allowed(request.identity, Permission.HALT_MARKETS, now),
    }
    return frame.page(request, "console/market.html", values, refusal=refusal, now=now)


def stop(request: frame.StaffRequest, symbol: str) -> HttpResponse:
    """Halt the market, or let it take cancellations only."""
    try:
        row = actions.stop_market(
            symbol=symbol,
            state=request.POST.get("state", ""),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, symbol, refusal)
    messages.success(request, f"{row.symbol} is to be stopped; the engine is being told.")
    return redirect("market", symbol)


def ask_release(request: frame.StaffRequest, symbol: str) -> HttpResponse:
    """Ask two others to agree that it may trade again."""
    try:
        asked = actions.ask_market_release(
            symbol=symbol, reason=request.POST.get("reason", ""), actor=request.actor, now=clock.now()
        )
    except Refused as refusal:
        return show(request, symbol, refusal)
    messages.success(request, "The release is requested. The market stays stopped until two others agree.")
    return redirect("approval", asked.pk)


def narrow_band(request: frame.StaffRequest, symbol: str) -> HttpResponse:
    """Keep orders further out from now on."""
    try:
        row = actions.narrow_band(**_band(request), symbol=symbol, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, symbol, refusal)
    messages.success(request, f"The price band of {row.symbol} is narrower; the engine is being told.")
    return redirect("market", symbol)


def ask_band(request: frame.StaffRequest, symbol: str) -> HttpResponse:
    """Ask two others to agree to another band."""
    try:
        asked = actions.ask_band(**_band(request), symbol=symbol, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, symbol, refusal)
    messages.success(request, "The band is asked for. The present one holds until two others agree.")
    return redirect("approval", asked.pk)


def _band(request: frame.StaffRequest) -> dict[str, str]:
    return {name: request.POST.get(name, "") for name in ("percent", "reference", "reason")}


def _open_band(request: frame.StaffRequest, row: Instrument, now: datetime) -> ApprovalRequest | None:
    rows = approvals.open_requests(identity=request.identity, now=now)
    return rows.filter(pk=row.band_request).first() if row.band_request else None


def _open_release(request: frame.StaffRequest, row: Instrument, now: datetime) -> ApprovalRequest | None:
    rows = approvals.open_requests(identity=request.identity, now=now)
    return rows.filter(pk=row.release_request).first() if row.release_request else None
