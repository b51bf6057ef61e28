"""The signers, and officers' orders to them: one officer stops, a quorum lets go, a recovery brings a quorum
back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect

from backoffice.console import frame, payloads
from backoffice.console.views import approvals
from core import access, clock
from core.refusals import Refused
from custody import actions, queries
from custody.domain.orders import EVERYTHING, PENDING, STOPS, State, officer
from custody.domain.recoveries import Terms
from custody.models import SignerHealth, SignerOrder
from custody.permissions import Permission
from kernel import canonical
from kernel.registry import BadRegistry, Registry

SHOWN_MAX: Final = 50
REGISTRY_BYTES_MAX: Final = 4_000_000


class NoRegistry(Refused):
    """The file is no registry."""

    code = "console.no_registry"
    status = 422


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """How each signer is, what was ordered, and the forms that stop them or ask to let go."""
    now = clock.now()
    rows = queries.orders_for(identity=request.identity, now=now)
    signers = queries.signers_for(identity=request.identity, now=now)
    announcements = queries.announcements_for(identity=request.identity, now=now)
    values = {
        "signers": [(token, wallet, said, _held(said)) for token, wallet, said in signers],
        "officers": [(officer(one.pk), one.display_name) for one in queries.signing_officers()],
        "wallets": sorted({wallet.name for _, wallet, _ in signers}),
        "tokens": [token for token, _, _ in signers],
        "everything": EVERYTHING,
        "lanes": queries.lanes_for(identity=request.identity, now=now),
        "orders": rows[:SHOWN_MAX],
        "announcements": announcements,
        "vetoable": [one for one in announcements if not one.is_vetoed or one.unheard],
        "askers": queries.askers_without(request.identity.pk),
        "may_stop": access.allowed(request.identity, Permission.STOP_SIGNERS, now),
        "may_order": access.allowed(request.identity, Permission.ORDER_SIGNERS, now),
    }
    return frame.page(request, "console/signers.html", values, refusal=refusal, now=now)


def _held(said: SignerHealth | None) -> list[tuple[str, str, bool]]:
    """What a signer holds, in words, and why; then what it held, and has forgotten with lines of its own."""
    if said is None:
        return []
    lost = {row.subject: row.reason for row in queries.forgotten(said)}
    names = queries.described([*said.frozen, *lost])
    held = [(names[name], reason, False) for name, reason in said.frozen.items()]
    return [*held, *((names[name], reason, True) for name, reason in lost.items())]


def freeze(request: frame.StaffRequest) -> HttpResponse:
    """Draft a freeze; the officer's passkey, on the approver page, makes it an order."""
    try:
        row = actions.draft_freeze(
            wallet=request.POST.get("wallet", ""),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    return redirect("signer_order", row.pk)


def veto(request: frame.StaffRequest) -> HttpResponse:
    """Draft a veto of a registry that was announced."""
    try:
        row = actions.draft_veto(
            registry_digest=request.POST.get("digest", "").strip(),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    return redirect("signer_order", row.pk)


def release(request: frame.StaffRequest) -> HttpResponse:
    """Ask a quorum to let the signers of a wallet sign again."""
    try:
        row = actions.ask_release_of_signers(
            wallet=request.POST.get("wallet", ""),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    return _asked(request, row)


def reopen(request: frame.StaffRequest) -> HttpResponse:
    """Ask a quorum to let a signer begin a new memory."""
    try:
        row = actions.ask_reopening(
            token=request.POST.get("token", ""),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    return _asked(request, row)


def registry(request: frame.StaffRequest) -> HttpResponse:
    """Ask a quorum to announce the registry in the file that was handed in."""
    try:
        row = actions.ask_registry(
            new=_registry_in(request),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    return _asked(request, row)


def recovery(request: frame.StaffRequest) -> HttpResponse:
    """Draft the recovery officers' order, from the registry in force and the one with new officers."""
    try:
        row = actions.draft_recovery(
            old=_registry_in(request, "old"),
            new=_registry_in(request, "new"),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, "Drafted. It is worth nothing until the recovery officers sign it below.")
    return redirect("signer_order", row.pk)


def show(request: frame.StaffRequest, order_id: UUID, refusal: Refused | None = None) -> HttpResponse:
    """One order: what it says, who signed, and what each signer answered."""
    now = clock.now()
    row = queries.order_for(order_id, identity=request.identity, now=now)
    answers = {answer.token: answer for answer in row.answers.all()}
    waits = row.state == State.SIGNING and row.expires_at > now
    carries = waits and row.recovery is not None
    carries = carries and access.allowed(request.identity, Permission.ORDER_SIGNERS, now)
    signs = waits and row.kind in STOPS and row.maker_id == request.identity.pk
    values = {
        "row": row,
        "act": payloads.read(bytes(row.payload)),
        "digest": canonical.digest(bytes(row.payload)),
        "told": [(token, answers.get(token)) for token in row.tokens],
        "signs": signs,
        "carries": carries,
        "recovery": _recovery(request, row, now=now),
        "approver": approvals.link(row) if signs or carries else "",
        "answer_fields": approvals.FIELDS.items(),
    }
    return frame.page(request, "console/signer_order.html", values, refusal=refusal, now=now)


def document(request: frame.StaffRequest, order_id: UUID) -> HttpResponse:
    """The signed order as a file: for signers without a socket, and for a host's command line."""
    row = queries.order_for(order_id, identity=request.identity, now=clock.now())
    if row.state in (State.SIGNING, State.REJECTED) or (row.request is None and row.assertion is None):
        return JsonResponse(
            {"error": "Nobody has signed this order, so there is nothing to carry."}, status=409
        )
    answer = HttpResponse(
        canonical.encode(dict(queries.order_message(row))) + b"\n", content_type="application/json"
    )
    answer["Content-Disposition"] = f'attachment; filename="{row.kind}-{row.pk}.json"'
    return answer


def sign(request: frame.StaffRequest, order_id: UUID) -> HttpResponse:
    """Hand in the officer's own signature under a stop."""
    try:
        row = actions.sign_order(
            order_id=order_id,
            signed=approvals.answer_in(request.POST),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, order_id, refusal)
    messages.success(request, "Signed. The signers are being told; their answers appear here.")
    return redirect("signer_order", row.pk)


def sign_recovery(request: frame.StaffRequest, order_id: UUID) -> HttpResponse:
    """Hand in what a recovery officer's passkey answered; they have no session of their own."""
    try:
        row = actions.sign_recovery(
            order_id=order_id,
            signed=approvals.answer_in(request.POST),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, order_id, refusal)
    said = {
        State.SIGNING: "Recorded. More recovery officers must sign.",
        State.SIGNED: "The quorum is complete. The signers are being told; tell every officer as well.",
    }
    messages.success(request, said.get(State(row.state), "Rejected. Nothing is sent to the signers."))
    return redirect("signer_order", row.pk)


def _recovery(request: frame.StaffRequest, row: SignerOrder, *, now: datetime) -> dict[str, Any] | None:
    """Who has signed a recovery, from when it can take effect, and who objected; None for other orders."""
    if row.recovery is None:
        return None
    terms = Terms.of(row.recovery)
    announced = queries.announcement_of(row, identity=request.identity, now=now)
    may_stop = access.allowed(request.identity, Permission.STOP_SIGNERS, now)
    signed = [terms.officers[each["officer"]][0] for each in row.assertion or []]
    return {
        "named": ", ".join(name for name, _ in terms.officers.values()),
        "seats": signed + [""] * (terms.quorum - len(signed)),
        "days": terms.delay.days,
        "announced": announced,
        "may_veto": row.state in PENDING and not announced.is_vetoed and may_stop,
    }


def _asked(request: frame.StaffRequest, row: SignerOrder) -> HttpResponse:
    messages.success(request, "Drafted. You are its maker: nobody can answer before you sign that you ask.")
    return redirect("approval", row.request_id)


def _registry_in(request: frame.StaffRequest, name: str = "registry") -> Registry:
    file = request.FILES.get(name)
    data = file.read(REGISTRY_BYTES_MAX + 1) if file is not None else b""
    if not data or len(data) > REGISTRY_BYTES_MAX:
        raise NoRegistry(f"Nothing was asked: choose the {name.replace('registry', 'new')} registry's file.")
    try:
        return Registry.parse(data)
    except (canonical.NotCanonical, BadRegistry) as error:
        raise NoRegistry(f"Nothing was asked: this is no registry ({error}).") from None
