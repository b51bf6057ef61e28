"""Freezes: one person stops, three let go."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame
from core import access, clock
from core.approvals import queries as approvals
from core.freezes import queries
from core.freezes.actions import ask_release as ask
from core.freezes.actions import pull_freeze
from core.freezes.permissions import Permission
from core.refusals import Refused

SCOPES: Final = (
    "platform.withdrawals",
    "trader-api",
    "asset:BTC",
    "wallet:hot",
    "wallet:cold",
    "market:BTC-USDT",
)
"""The usual ones; customers are frozen by `customer:` and their id."""
SHOWN_MAX: Final = 50


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """What is frozen, what was, and the form that stops something."""
    now = clock.now()
    rows = list(queries.in_force())
    asked = {
        found.subject: found
        for found in approvals.open_requests(identity=request.identity, now=now)
        if found.kind == "freezes.release"
    }
    values = {
        "in_force": [(row, asked.get(f"freezes.freeze/{row.pk}")) for row in rows],
        "history": [row for row in queries.history(limit=SHOWN_MAX) if row.released_at],
        "scopes": SCOPES,
        "may_pull": access.allowed(request.identity, Permission.PULL_FREEZE, now),
        "may_ask": access.allowed(request.identity, Permission.ASK_RELEASE, now),
    }
    return frame.page(request, "console/freezes.html", values, refusal=refusal, now=now)


def pull(request: frame.StaffRequest) -> HttpResponse:
    """Stop it, now."""
    try:
        row = pull_freeze(
            scope=request.POST.get("scope", "").strip(),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, f"Frozen: {row.scope}. Two others must agree to its release; you can ask.")
    return redirect("freezes")


def ask_release(request: frame.StaffRequest, freeze_id: UUID) -> HttpResponse:
    """Ask two others to agree that it is safe again."""
    try:
        asked = ask(
            freeze_id=freeze_id, reason=request.POST.get("reason", ""), actor=request.actor, now=clock.now()
        )
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, "The release is requested. The freeze holds until two others have agreed.")
    return redirect("approval", asked.pk)
