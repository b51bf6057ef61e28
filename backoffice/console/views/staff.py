"""The staff: who may do what, one person's rights taken away at once, everything else by approval."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame, reading, trails
from core import access, clock
from core.access.events import Event
from core.access.models import Identity
from core.access.permissions import Permission
from core.access.roles import Role
from core.approvals import queries as approvals
from core.approvals.models import ApprovalRequest
from core.factors import actions as factor_actions
from core.factors import queries as factors
from core.ids import new_id
from core.refusals import NotFound, Refused
from core.staff import actions, queries
from core.staff.domain import changes
from custody import actions as custody
from custody import queries as custody_queries
from custody.domain import orders
from custody.permissions import Permission as Custody

OFFERED: Final = tuple(role for role in Role if role not in (Role.COLLECTOR, Role.BREAK_GLASS))
"""What people can be: the collector is a program, and only two sealed keys break the glass."""


class Misspelt(Refused):
    """The form asks for no change that there is."""

    code = "console.misspelt"
    status = 422


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """Everybody with their roles, and the form by which somebody joins."""
    now = clock.now()
    values = {
        "members": queries.members(officer=request.identity, now=now),
        "roles": OFFERED,
        "chosen": request.POST.getlist("roles") if refusal else [],
        "may_propose": access.allowed(request.identity, Permission.PROPOSE_STAFF, now),
    }
    return frame.page(request, "console/staff.html", values, refusal=refusal, now=now)


def show(request: frame.StaffRequest, person: UUID, refusal: Refused | None = None) -> HttpResponse:
    """One person: roles held and past, passkeys, and what can be done."""
    now = clock.now()
    member = queries.member(person, officer=request.identity, now=now)
    shown = ("e-mail", "subject", "roles", "authenticators")
    reading.person(request, Event.PERSON_READ, member.identity, f"access.identity/{person}", shown, now=now)
    values = {
        "member": member,
        "grants": queries.grants_of(person),
        "asked": approvals.about(f"access.identity/{person}")[:10],
        "roles": OFFERED,
        "hours_max": changes.HOURS_MAX,
        "factors": factors.factors_of(person),
        "accounts": queries.accounts_of(person),
        "is_me": person == request.identity.pk,
        "at_signers": custody_queries.suspends(person) if member.passkeys else None,
        "may_stop": access.allowed(request.identity, Custody.STOP_SIGNERS, now),
        "order_subject": orders.officer(person),
        "may_suspend": access.allowed(request.identity, Permission.SUSPEND_STAFF, now),
        "may_propose": access.allowed(request.identity, Permission.PROPOSE_STAFF, now),
        "trail": trails.about(member.identity, identity=request.identity, now=now),
    }
    return frame.page(request, "console/person.html", values, refusal=refusal, now=now)


def suspend(request: frame.StaffRequest, person: UUID) -> HttpResponse:
    """End all of somebody's rights, now."""
    try:
        row = actions.suspend_person(
            person=person, reason=request.POST.get("reason", ""), actor=request.actor, now=clock.now()
        )
    except Refused as refusal:
        return show(request, person, refusal)
    messages.success(request, f"{row.display_name} is suspended. Coming back takes at least two others.")
    return _at_the_signers(request, row)


def _at_the_signers(request: frame.StaffRequest, row: Identity) -> HttpResponse:
    """The order by which signers hear of it, for this person to sign; or that they have not heard of it."""
    now = clock.now()
    if not custody_queries.suspends(row.pk)[1] or row not in custody_queries.signing_officers():
        return redirect("person", row.pk)
    told = f"The signers still count what {row.display_name} signs"
    if not access.allowed(request.identity, Custody.STOP_SIGNERS, now):
        messages.warning(request, f"{told}: have a compliance or treasury officer suspend them there, now.")
        return redirect("person", row.pk)
    try:
        order = custody.draft_freeze(
            wallet=orders.officer(row.pk),
            reason=f"{row.display_name}: {request.POST.get('reason', '').strip()}"[:500],
            actor=request.actor,
            now=now,
        )
    except Refused as refusal:
        messages.warning(request, f"{told}: {refusal}")
        return redirect("person", row.pk)
    messages.warning(request, f"{told} until you have signed this order with your passkey.")
    return redirect("signer_order", order.pk)


def declare_account(request: frame.StaffRequest, person: UUID) -> HttpResponse:
    """Write down an account as a customer that is this person's own."""
    queries.member(person, officer=request.identity, now=clock.now())
    try:
        actions.declare_account(person=person, customer=_id(request), actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, person, refusal)
    messages.success(request, "The account is recorded. Others answer what it asks for.")
    return redirect("person", person)


def propose(request: frame.StaffRequest, person: UUID) -> HttpResponse:
    """Put a change before two others."""
    try:
        asked = actions.propose_change(
            change=_change(request, person),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, person, refusal)
    messages.success(request, f"The change is proposed. It happens once {_others(asked)} have signed it.")
    return redirect("approval", asked.pk)


def join(request: frame.StaffRequest) -> HttpResponse:
    """Put somebody new before two others."""
    fields = {name: request.POST.get(name, "").strip() for name in ("name", "email", "subject")}
    change = changes.Join(new_id(), roles=tuple(request.POST.getlist("roles")), **fields)
    try:
        asked = actions.propose_change(
            change=change, reason=request.POST.get("reason", ""), actor=request.actor, now=clock.now()
        )
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, f"The joining is proposed. It happens once {_others(asked)} have signed it.")
    return redirect("approval", asked.pk)


def take_factor(request: frame.StaffRequest, person: UUID, factor_id: UUID) -> HttpResponse:
    """A colleague has lost an authenticator: it opens nothing from now on."""
    queries.member(person, officer=request.identity, now=clock.now())
    if factor_id not in {factor.pk for factor in factors.factors_of(person)}:
        raise NotFound("There is no such authenticator.", target=f"access.identity/{person}")
    try:
        row = factor_actions.end_factor(
            factor_id=factor_id,
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return _or_404(request, person, refusal)
    messages.success(request, f"“{row.label}” opens nothing any more.")
    return redirect("person", person)


def take_passkey(request: frame.StaffRequest, person: UUID, credential: UUID) -> HttpResponse:
    """A colleague has lost a signing passkey: it signs nothing from now on."""
    member = queries.member(person, officer=request.identity, now=clock.now())
    if credential not in {key.pk for key in member.passkeys}:
        raise NotFound("There is no such passkey.", target=f"access.identity/{person}")
    try:
        row = actions.revoke_passkey(
            credential=credential,
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return _or_404(request, person, refusal)
    messages.success(request, f"“{row.label}” signs nothing any more.")
    return redirect("person", person)


def _or_404(request: frame.StaffRequest, person: UUID, refusal: Refused) -> HttpResponse:
    if refusal.status == HTTPStatus.NOT_FOUND:
        raise refusal
    return show(request, person, refusal)


def _others(asked: ApprovalRequest) -> str:
    return f"{sum(asked.teams.values())} others"


def _id(request: frame.StaffRequest) -> UUID:
    try:
        return UUID(request.POST.get("customer", "").strip())
    except ValueError:
        raise Misspelt("Nothing was recorded: this is no customer's id.") from None


def _change(request: frame.StaffRequest, person: UUID) -> changes.Change:
    role, hours = request.POST.get("role", ""), request.POST.get("hours", "0")
    match request.POST.get("change"):
        case "grant_role":
            return changes.GrantRole(person, role, int(hours) if hours.isdecimal() and len(hours) < 4 else -1)
        case "end_role":
            return changes.EndRole(person, role)
        case "leave":
            return changes.Leave(person)
        case "restore":
            return changes.Restore(person)
        case "rebind":
            return changes.Rebind(person, request.POST.get("subject", "").strip())
        case _:
            raise Misspelt("Nothing was proposed: choose what is to change.")
