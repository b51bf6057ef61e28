"""Sweeps of the hot wallet: adopt a proposal, put it aside, have signers asked again, raise its fee."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect

from backoffice.console import frame
from backoffice.console.views import moves, raising
from core import clock
from core.refusals import Refused
from custody import actions, queries
from custody.domain.sweeps import State


def show(request: frame.StaffRequest, sweep_id: UUID, refusal: Refused | None = None) -> HttpResponse:
    """One sweep: its amount, its request, its transaction, the signers' answers."""
    now = clock.now()
    row = queries.sweep_for(sweep_id, identity=request.identity, now=now)
    values = moves.values(request, row, now=now)
    values |= raising.values(request, values["payment"], now=now)
    return frame.page(request, "console/sweep.html", values, refusal=refusal, now=now)


def document(request: frame.StaffRequest, sweep_id: UUID) -> HttpResponse:
    """Where it stands, for programs that wait for it."""
    return JsonResponse(moves.told(queries.sweep_for(sweep_id, identity=request.identity, now=clock.now())))


def adopt(request: frame.StaffRequest, sweep_id: UUID) -> HttpResponse:
    """Put a proposal before the checkers."""
    reason = request.POST.get("reason", "")
    try:
        row = actions.request_sweep(sweep_id=sweep_id, reason=reason, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, sweep_id, refusal)
    messages.success(request, "Drafted. You are its maker: nobody can answer before you sign that you ask.")
    return redirect("approval", row.request_id)


def dismiss(request: frame.StaffRequest, sweep_id: UUID) -> HttpResponse:
    """Put a proposal aside, or give up a sweep that no signer saw or whose coins are gone for good."""
    reason, now = request.POST.get("reason", ""), clock.now()
    row = queries.sweep_for(sweep_id, identity=request.identity, now=now)
    act = actions.fail_sweep if row.may_become(State.FAILED) else actions.dismiss_sweep
    try:
        act(sweep_id=sweep_id, reason=reason, actor=request.actor, now=now)
    except Refused as refusal:
        return show(request, sweep_id, refusal)
    messages.success(request, "It is put aside. Another is proposed while the wallet is still too full.")
    return redirect("sweep", sweep_id)


def ask_again(request: frame.StaffRequest, sweep_id: UUID) -> HttpResponse:
    """Put the same transaction before the same signers once more."""
    reason = request.POST.get("reason", "")
    try:
        actions.ask_sweep_again(sweep_id=sweep_id, reason=reason, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, sweep_id, refusal)
    messages.success(request, "The signers are being asked again; their answers appear here.")
    return redirect("sweep", sweep_id)


def raise_fee(request: frame.StaffRequest, sweep_id: UUID) -> HttpResponse:
    """A further version of its transaction at a higher fee rate, put before the signers."""
    row = queries.sweep_for(sweep_id, identity=request.identity, now=clock.now())
    try:
        raising.ask(request, queries.payment_of(row), target=f"custody.sweep/{sweep_id}")
    except Refused as refusal:
        return show(request, sweep_id, refusal)
    messages.success(request, raising.TOLD)
    return redirect("sweep", sweep_id)
