"""Refills of the hot wallet: adopt a proposal, carry the bundle out, bring signatures back."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect

from backoffice.console import frame
from backoffice.console.views import moves
from core import access, clock
from core.refusals import Refused
from custody import actions, queries
from custody.domain.refills import State
from custody.permissions import Permission
from kernel import canonical

PARTIAL_BYTES_MAX: Final = canonical.LENGTH_MAX
SHOWN_MAX: Final = 50


class NoFile(Refused):
    """No file came, or one far larger than signatures are."""

    code = "console.no_file"
    status = 422


def show(request: frame.StaffRequest, refill_id: UUID, refusal: Refused | None = None) -> HttpResponse:
    """One refill: its amount, its request, its bundle, the cold signatures that have come back."""
    now = clock.now()
    row = queries.refill_for(refill_id, identity=request.identity, now=now)
    values = moves.values(request, row, now=now) | {
        "is_exportable": row.state in (State.BUILT, State.EXPORTED),
        "is_signable": row.state == State.EXPORTED,
        "may_carry": access.allowed(request.identity, Permission.TRANSFER_BUNDLE, now),
    }
    return frame.page(request, "console/refill.html", values, refusal=refusal, now=now)


def document(request: frame.StaffRequest, refill_id: UUID) -> HttpResponse:
    """Where it stands, for programs that wait for it."""
    return JsonResponse(moves.told(queries.refill_for(refill_id, identity=request.identity, now=clock.now())))


def documents(request: frame.StaffRequest) -> HttpResponse:
    """The newest refills, for programs that wait for one to be proposed."""
    rows = queries.refills_for(identity=request.identity, now=clock.now())[:SHOWN_MAX]
    return JsonResponse({"refills": [moves.told(row) for row in rows]})


def adopt(request: frame.StaffRequest, refill_id: UUID) -> HttpResponse:
    """Put a proposal before the checkers."""
    reason = request.POST.get("reason", "")
    try:
        row = actions.request_refill(refill_id=refill_id, reason=reason, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, refill_id, refusal)
    messages.success(request, "Drafted. You are its maker: nobody can answer before you sign that you ask.")
    return redirect("approval", row.request_id)


def dismiss(request: frame.StaffRequest, refill_id: UUID) -> HttpResponse:
    """Put a proposal aside, or give up a refill whose bundle never left or whose coins are gone for good."""
    reason, now = request.POST.get("reason", ""), clock.now()
    row = queries.refill_for(refill_id, identity=request.identity, now=now)
    act = actions.fail_refill if row.may_become(State.FAILED) else actions.dismiss_refill
    try:
        act(refill_id=refill_id, reason=reason, actor=request.actor, now=now)
    except Refused as refusal:
        return show(request, refill_id, refusal)
    messages.success(request, "It is put aside. Another is proposed while the wallet is still low.")
    return redirect("refill", refill_id)


def export(request: frame.StaffRequest, refill_id: UUID) -> HttpResponse:
    """The bundle as a file, for the machines without a network."""
    try:
        data = actions.export_bundle(refill_id=refill_id, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, refill_id, refusal)
    response = HttpResponse(data, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="refill-{refill_id}.bundle.json"'
    return response


def bring_back(request: frame.StaffRequest, refill_id: UUID) -> HttpResponse:
    """Take one cold signer's file; its signatures are checked against that token's own key."""
    try:
        actions.import_signatures(
            refill_id=refill_id, data=_uploaded(request), actor=request.actor, now=clock.now()
        )
    except Refused as refusal:
        return show(request, refill_id, refusal)
    messages.success(request, "The signatures hold, and are stored.")
    return redirect("refill", refill_id)


def _uploaded(request: frame.StaffRequest) -> bytes:
    file = request.FILES.get("partial")
    if file is None or file.size is None or file.size > PARTIAL_BYTES_MAX:
        raise NoFile("Nothing was imported: choose the file that the air-gapped signer wrote.")
    return bytes(file.read())
