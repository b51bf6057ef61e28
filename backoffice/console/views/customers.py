"""One customer, without who they are: where they stand, and their erasure."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame
from core import access, clock
from core.approvals.domain.requests import State as RequestState
from core.refusals import Refused
from kyc import actions, queries
from kyc.domain import erasures
from kyc.domain.erasures import Basis, State
from kyc.permissions import Permission


class Misspelt(Refused):
    """A field of the form is none of the choices."""

    code = "console.misspelt"
    status = 422


class NotUnderstood(Refused):
    """Nobody said that they know what goes and what stays."""

    code = "console.not_understood"
    status = 422


def show(request: frame.StaffRequest, customer_id: UUID, refusal: Refused | None = None) -> HttpResponse:
    """Cases, what is in the way of an erasure, what one destroys and what not, and how far one has come."""
    now = clock.now()
    row = queries.customer_for(customer_id, identity=request.identity, now=now)
    rows = list(queries.erasures_of(row.pk)[:20])
    newest = rows[0] if rows else None
    under_way = newest if newest and newest.state in erasures.OPEN else None
    basis = Basis(under_way.basis) if under_way else Basis.KEPT
    values = {
        "row": row,
        "tier": queries.effective_tier(row.pk, now=now),
        "cases": queries.cases_of(row.pk)[:20],
        "erasures": rows,
        "newest": newest,
        "under_way": under_way,
        "is_erased": newest is not None and newest.state == State.ERASED,
        "is_open": under_way is not None and under_way.request.state == RequestState.OPEN,
        "in_the_way": queries.in_the_way(row.pk, basis=basis, now=now),
        "is_blocked": bool(queries.in_the_way(row.pk, basis=Basis.ORDERED, now=now)),
        "kept_until": queries.kept_until(row.pk),
        "kept_years": settings.CUSTOMER_FILES_KEPT_YEARS,
        "must_keep": erasures.must_keep(Basis.KEPT, queries.kept_until(row.pk), now=now),
        "gone": erasures.GONE,
        "kept": erasures.KEPT,
        "bases": list(Basis),
        "now": now,
        "may_ask": access.allowed(request.identity, Permission.REQUEST_ERASURE, now),
    }
    return frame.page(request, "console/customer.html", values, refusal=refusal, now=now)


def erase(request: frame.StaffRequest, customer_id: UUID) -> HttpResponse:
    """Put the customer's erasure before other officers."""
    try:
        row = actions.request_erasure(
            customer_id=_found(request, customer_id),
            basis=_basis(request.POST.get("basis", "")),
            reason=request.POST.get("reason", ""),
            officer=request.identity,
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, customer_id, refusal)
    messages.success(request, "The erasure is asked for. You are its maker, so two others must approve it.")
    return redirect("approval", row.request_id)


def _found(request: frame.StaffRequest, customer_id: UUID) -> UUID:
    """The customer's id, once whoever asks says that they know what goes."""
    queries.customer_for(customer_id, identity=request.identity, now=clock.now())
    if request.POST.get("understood") != "yes":
        raise NotUnderstood("Nothing was asked: say that you have read what is destroyed, and what is kept.")
    return customer_id


def _basis(text: str) -> Basis:
    try:
        return Basis(text)
    except ValueError:
        raise Misspelt("Nothing was asked: choose what allows the erasure.") from None
