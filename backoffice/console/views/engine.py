"""The engine: its last word, who follows it, what is stopped; journal verified, mirrors made again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame
from core import access, clock
from core.refusals import Refused
from engine_bridge import actions, sighting
from engine_bridge.actions.rebuilding import TYPED
from engine_bridge.permissions import Permission


def show(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """What is known of the engine, however old, and the form that rebuilds the mirrors."""
    now = clock.now()
    values = {
        "engine": sighting.engine_for(request.identity, now=now),
        "may_rebuild": access.allowed(request.identity, Permission.REBUILD_MIRRORS, now),
        "may_verify": access.allowed(request.identity, Permission.VERIFY_JOURNAL, now),
        "word": TYPED,
    }
    return frame.page(request, "console/engine.html", values, refusal=refusal, now=now)


def rebuild(request: frame.StaffRequest) -> HttpResponse:
    """Empty the mirrors; settlement writes them again from the first event on."""
    try:
        reached = actions.rebuild_mirrors(
            typed=request.POST.get("typed", ""),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, refusal)
    messages.success(request, f"The mirrors are being rebuilt, up to event {reached} and beyond.")
    return redirect("engine")


def verify(request: frame.StaffRequest) -> HttpResponse:
    """Have the engine read its journal again; what it finds appears on the screen."""
    try:
        actions.ask_verification(actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, refusal)
    messages.success(request, "The engine is being told to verify its journal. Its result appears here.")
    return redirect("engine")
