"""Roles held for a shift: asking for one, what each was for, and what was done in it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame
from core import access, clock
from core.access.permissions import Permission
from core.access.roles import GRANTED_BY, Role
from core.refusals import Refused
from core.staff import actions, queries
from core.staff.domain import changes

OFFERED: Final = tuple(role for role in Role if GRANTED_BY[role] and role is not Role.COLLECTOR)


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """All of them, those in force first, and the form by which an SRE asks."""
    now = clock.now()
    found = queries.elevations(officer=request.identity, now=now)
    values = {
        "elevations": sorted(found, key=lambda each: not each.in_force),
        "roles": OFFERED,
        "hours_max": changes.HOURS_MAX,
        "may_ask": access.allowed(request.identity, Permission.ASK_ELEVATION, now),
    }
    return frame.page(request, "console/elevations.html", values, refusal=refusal, now=now)


def show(request: frame.StaffRequest, grant: UUID, refusal: Refused | None = None) -> HttpResponse:
    """One of them, with its deeds."""
    now = clock.now()
    found = queries.elevation(grant, officer=request.identity, now=now)
    mine = found.grant.identity_id == request.identity.pk
    may_end = mine or access.allowed(request.identity, Permission.SUSPEND_STAFF, now)
    values = {"elevation": found, "may_end": may_end and found.in_force}
    return frame.page(request, "console/elevation.html", values, refusal=refusal, now=now)


def ask(request: frame.StaffRequest) -> HttpResponse:
    """An SRE asks for a role for themselves; two others who may grant it decide."""
    hours = request.POST.get("hours", "")
    change = changes.GrantRole(
        request.identity.pk,
        request.POST.get("role", ""),
        int(hours) if hours.isdecimal() and len(hours) < 4 and int(hours) > 0 else changes.HOURS_MAX + 1,
    )
    try:
        asked = actions.propose_change(
            change=change, reason=request.POST.get("reason", ""), actor=request.actor, now=clock.now()
        )
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, "The elevation is asked for. It begins once two others have signed it.")
    return redirect("approval", asked.pk)


def end(request: frame.StaffRequest, grant: UUID) -> HttpResponse:
    """End it now."""
    try:
        actions.end_elevation(grant=grant, actor=request.actor, now=clock.now())
    except Refused as refusal:
        if refusal.status == HTTPStatus.NOT_FOUND:
            raise
        return show(request, grant, refusal)
    messages.success(request, "The elevation has ended.")
    return redirect("elevation", grant)
