"""Identity cases: the queue, one case, and what an officer decides about it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame, reading
from core import access, clock
from core.audit.subjects import NotOpened
from core.refusals import Refused
from engine_bridge import queries as market_queries
from kyc import actions, queries
from kyc.domain import cases, tiers
from kyc.events import Event
from kyc.permissions import Permission
from kyc.queries import Evidence

SHOWN_MAX: Final = 200
SHOWN_OF_CUSTOMER: Final = ("country", "verifications", "history")
"""What a case shows before its evidence is opened."""


class Misspelt(Refused):
    """A field of the form is none of the choices."""

    code = "console.misspelt"
    status = 422


def index(request: frame.StaffRequest) -> HttpResponse:
    """The open cases, longest waiting first, without anybody's personal data."""
    now = clock.now()
    if (wanted := _customer(request.GET.get("customer", ""))) is not None:
        return redirect("customer", wanted)
    kind = request.GET.get("kind", "")
    kind = kind if kind in set(cases.Kind) else ""
    rows = queries.queue(identity=request.identity, now=now, kind=kind)[:SHOWN_MAX]
    return frame.page(
        request, "console/cases.html", {"rows": rows, "kind": kind, "kinds": list(cases.Kind)}, now=now
    )


def show(
    request: frame.StaffRequest,
    case_id: UUID,
    refusal: Refused | None = None,
    opened: Evidence | None = None,
) -> HttpResponse:
    """One case: how the verification stands, its history, and the decisions that are open to one officer."""
    now = clock.now()
    row = queries.case(case_id, identity=request.identity, now=now)
    reading.customer(request, Event.CASE_READ, row, row.profile.customer_id, SHOWN_OF_CUSTOMER, now=now)
    is_open = row.state in (cases.State.QUEUED, cases.State.IN_REVIEW)
    values = {
        "row": row,
        "tier": queries.effective_tier(row.profile.customer_id, now=now),
        "fees": market_queries.fees_of(row.profile.customer_id),
        "verifications": row.profile.verifications.order_by("provider", "level"),
        "history": queries.history(row.profile),
        "deliveries": queries.deliveries(row.profile, limit=20),
        "evidence": opened,
        "is_open": is_open,
        "outcomes": sorted(cases.BY_ONE_OFFICER[cases.Kind(row.kind)]) if is_open else [],
        "tiers": [tier for tier in tiers.TIERS if tier.rank > row.profile.tier] if is_open else [],
        "may_decide": access.allowed(request.identity, Permission.DECIDE_CASES, now),
        "may_open": access.allowed(request.identity, Permission.SEE_EVIDENCE, now),
    }
    return frame.page(request, "console/case.html", values, refusal=refusal, now=now)


def evidence(request: frame.StaffRequest, case_id: UUID) -> HttpResponse:
    """The case with its personal data opened; that it was opened is in the audit log before it is shown."""
    now = clock.now()
    row = queries.case(case_id, identity=request.identity, now=now)
    try:
        opened = queries.evidence(row, identity=request.identity, actor=request.actor, now=now)
    except NotOpened as refusal:
        return show(request, case_id, refusal)
    return show(request, case_id, opened=opened)


def take(request: frame.StaffRequest, case_id: UUID) -> HttpResponse:
    """Put one's name on the case."""
    try:
        actions.take_case(case_id=case_id, officer=request.identity, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, case_id, refusal)
    messages.success(request, "The case is yours.")
    return redirect("case", case_id)


def close(request: frame.StaffRequest, case_id: UUID) -> HttpResponse:
    """End the case in a way that gives the customer nothing."""
    try:
        actions.close_case(
            case_id=case_id,
            outcome=_outcome(request.POST.get("outcome", "")),
            reason=request.POST.get("reason", ""),
            officer=request.identity,
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, case_id, refusal)
    messages.success(request, "The case is closed.")
    return redirect("case", case_id)


def propose(request: frame.StaffRequest, case_id: UUID) -> HttpResponse:
    """Put a higher tier before other officers."""
    tier = request.POST.get("tier", "")
    try:
        asked = actions.propose_tier(
            case_id=case_id,
            tier=int(tier) if tier.isdecimal() and len(tier) < 3 else 0,
            reason=request.POST.get("reason", ""),
            officer=request.identity,
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, case_id, refusal)
    messages.success(request, "The tier is proposed. You are its maker, so another must approve it.")
    return redirect("approval", asked.pk)


def _customer(text: str) -> UUID | None:
    """The id that somebody looks for; None where it is none."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def _outcome(text: str) -> cases.Outcome:
    try:
        return cases.Outcome(text)
    except ValueError:
        raise Misspelt("Nothing was decided: choose how the case ends.") from None
