"""What accounts pay for trading: the levels, who has which, and the form that asks for another one."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame
from core import access, clock
from core.approvals import queries as approvals
from core.refusals import Refused
from engine_bridge import actions, queries
from engine_bridge.domain.fees import LEVELS
from engine_bridge.permissions import Permission


class Misspelt(Refused):
    """A field of the form cannot be read."""

    code = "console.misspelt"
    status = 422


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """The levels, and every account about whose fees officers ever decided."""
    now = clock.now()
    waiting = set(approvals.open_requests(identity=request.identity, now=now).values_list("pk", flat=True))
    rows = queries.fees_for(request.identity, now=now)
    values = {
        "levels": LEVELS.items(),
        "rows": [(view, view.row.request if view.row.request in waiting else None) for view in rows],
        "markets": queries.instruments(),
        "may_propose": access.allowed(request.identity, Permission.PROPOSE_FEES, now),
    }
    return frame.page(request, "console/fees.html", values, refusal=refusal, now=now)


def ask(request: frame.StaffRequest) -> HttpResponse:
    """Ask two others to agree that an account pays other fees."""
    try:
        asked = actions.ask_fee_level(
            customer_id=_customer(request.POST.get("customer", "")),
            level=request.POST.get("level", ""),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, "The fees are asked for. Nothing changes until two others agree.")
    return redirect("approval", asked.pk)


def _customer(text: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError:
        raise Misspelt("Nothing was asked: choose the customer by their id.") from None
