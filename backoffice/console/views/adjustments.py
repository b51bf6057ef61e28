"""Adjustments of customers' balances: ask for one, see what became of the others."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame
from core import access, clock
from core.ids import new_id
from core.refusals import Refused
from custody import actions, queries
from kernel import money
from kernel.money import Amount

SHOWN_MAX: Final = 100


class Misspelt(Refused):
    """A field of the form cannot be read."""

    code = "console.misspelt"
    status = 422


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """The form, and the newest adjustments."""
    now = clock.now()
    values = {
        "rows": queries.adjustments_for(identity=request.identity, now=now)[:SHOWN_MAX],
        "may_propose": access.allowed(request.identity, "custody:adjustment:propose", now),
        "assets": money.ASSETS.values(),
    }
    return frame.page(request, "console/adjustments.html", values, refusal=refusal, now=now)


def propose(request: frame.StaffRequest) -> HttpResponse:
    """Put a credit before the checkers."""
    try:
        row = actions.request_adjustment(
            customer_id=_customer(request.POST.get("customer", "")),
            amount=_amount(request.POST.get("amount", ""), request.POST.get("asset", "")),
            reason=request.POST.get("reason", ""),
            reference=request.POST.get("reference", "").strip() or str(new_id()),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, "The credit is requested. You are its maker, so another must approve it.")
    return redirect("approval", row.request_id)


def _customer(text: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError:
        raise Misspelt("Nothing was asked: choose the customer by their id.") from None


def _amount(text: str, asset: str) -> Amount:
    try:
        return Amount.parse(text.strip(), asset)
    except money.MoneyError:
        raise Misspelt(
            "Nothing was asked: the amount is a plain decimal such as 0.25 of a listed asset."
        ) from None
