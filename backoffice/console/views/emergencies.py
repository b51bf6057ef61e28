"""Breaking the glass: two people with two sealed keys, half an hour, and everybody knows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import entering, frame
from backoffice.console.views.authenticators import registered, registering
from core import access, clock
from core.access.models import RoleGrant
from core.access.permissions import Permission
from core.access.roles import BREAK_GLASS
from core.factors import actions, queries
from core.refusals import NotFound, Refused


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """What lasts, what waits for a second person, the keys in the safes, and what was."""
    now = clock.now()
    past = queries.glasses()
    grants: dict[Any, list[RoleGrant]] = {}
    for grant in RoleGrant.objects.filter(request__in=[row.pk for row in past]).select_related("identity"):
        grants.setdefault(grant.request, []).append(grant)
    values = {
        "waiting": queries.glass_waiting(),
        "past": [(row, grants.get(row.pk, [])) for row in past],
        "keys": queries.sealed_keys(),
        "broken": queries.broken_seals(),
        "powers": sorted(BREAK_GLASS),
        "may_register": access.allowed(request.identity, Permission.PROPOSE_STAFF, now),
        "may_take": access.allowed(request.identity, Permission.SUSPEND_STAFF, now),
    }
    return frame.page(request, "console/emergencies.html", values, refusal=refusal, now=now)


def ask(request: frame.StaffRequest) -> HttpResponse:
    """The first person."""
    try:
        actions.ask_glass(reason=request.POST.get("reason", ""), actor=request.actor, now=clock.now())
    except Refused as refusal:
        return index(request, refusal)
    entering.hold(request)
    messages.success(
        request, "The first key is in. Another person must use the other one within ten minutes."
    )
    return redirect("emergencies")


def second(request: frame.StaffRequest, glass_id: UUID) -> HttpResponse:
    """The second person: it is open."""
    try:
        actions.open_glass(glass_id=glass_id, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return _or_404(request, refusal)
    entering.hold(request)
    messages.success(request, "The glass is broken. It ends in thirty minutes, or when anybody ends it.")
    return redirect("emergencies")


def end(request: frame.StaffRequest, glass_id: UUID) -> HttpResponse:
    """Anybody ends it."""
    try:
        actions.end_glass(glass_id=glass_id, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return _or_404(request, refusal)
    messages.success(
        request, "The emergency is over. Replace the two keys that were used: they open no other."
    )
    return redirect("emergencies")


def begin_key(request: frame.StaffRequest) -> HttpResponse:
    """The page on which a key for a safe is made."""
    return registering(request, route="propose_sealed", title="A new key for a safe", back="emergencies")


def propose_key(request: frame.StaffRequest) -> HttpResponse:
    """Put the new key before two others."""
    try:
        asked = registered(request, sealed=True)
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, "The key is registered. It counts once two other officers have approved it.")
    return redirect("approval", asked.pk)


def take_key(request: frame.StaffRequest, factor_id: UUID) -> HttpResponse:
    """A sealed key is lost, used or replaced: it opens nothing from now on."""
    if factor_id not in {key.pk for key in queries.sealed_keys()}:
        raise NotFound("There is no such key.", target=f"factors/{factor_id}")
    try:
        row = actions.end_factor(
            factor_id=factor_id,
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return _or_404(request, refusal)
    messages.success(request, f"“{row.label}” opens nothing any more.")
    return redirect("emergencies")


def _or_404(request: frame.StaffRequest, refusal: Refused) -> HttpResponse:
    if refusal.status == HTTPStatus.NOT_FOUND:
        raise refusal
    return index(request, refusal)
