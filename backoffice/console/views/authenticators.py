"""One's own authenticators: what one comes in with, registering another, and saying that one is lost."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import segno
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from backoffice.console import ceremony, frame
from backoffice.console.entering import session_of
from core import clock
from core.approvals import queries as approvals
from core.approvals.models import ApprovalRequest
from core.factors import actions, queries
from core.factors.actions.registering import REGISTER, Draft
from core.factors.domain import acts
from core.factors.models import Passkey, Registration
from core.refusals import Refused
from core.staff import actions as staff
from kernel import canonical, encodings

ISSUER: Final = "Countersign"
KINDS: Final = ("factors.enrol_passkey", "factors.enrol_code", "staff.add_passkey")


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """All of them, with what still waits for a second person."""
    asked = approvals.about(f"access.identity/{request.identity.pk}").filter(kind__in=KINDS, state="open")
    values = {
        "factors": queries.factors_of(request.identity.pk),
        "signing": request.identity.credentials.filter(revoked_at=None).order_by("added_at"),
        "asked": list(asked),
    }
    return frame.page(request, "console/authenticators.html", values, refusal=refusal)


def begin_code(request: frame.StaffRequest) -> HttpResponse:
    """Show a fresh secret, this once."""
    try:
        draft = actions.begin_code(label=request.POST.get("label", ""), actor=request.actor, now=clock.now())
    except Refused as refusal:
        return index(request, refusal)
    return _secret(request, draft)


def propose_code(request: frame.StaffRequest, factor_id: UUID) -> HttpResponse:
    """Take the first code of a new app, and ask the second person."""
    try:
        actions.propose_code(
            factor_id=factor_id,
            digits="".join(request.POST.get("code", "").split()),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, "The app works. It counts once another officer has approved it.")
    return redirect("authenticators")


def begin_passkey(request: frame.StaffRequest) -> HttpResponse:
    """The page on which the browser makes a new passkey."""
    return registering(request, route="propose_passkey", title="A new passkey", back="authenticators")


def registering(request: frame.StaffRequest, *, route: str, title: str, back: str) -> HttpResponse:
    """The page that makes one, and sends it to `route`."""
    me = request.identity
    digest = acts.digest(method="POST", route=route, target={"person": str(me.pk)}, fields={}, files={})
    values: dict[str, Any] = {
        "question": ceremony.question(request, purpose=REGISTER, act=route, digest=digest),
        "user": encodings.base64url(me.pk.bytes),
        "known": [key.credential_id for key in queries.factors_of(me.pk) if isinstance(key, Passkey)],
        "issuer": ISSUER,
        "title": title,
        "target": reverse(route),
        "back": reverse(back),
    }
    return frame.page(request, "console/new_passkey.html", values)


def propose_passkey(request: frame.StaffRequest) -> HttpResponse:
    """Take what the authenticator made, and ask the second person."""
    try:
        registered(request, sealed=False)
    except Refused as refusal:
        return index(request, refusal)
    messages.success(request, "The passkey is registered. It counts once another officer has approved it.")
    return redirect("authenticators")


def registered(request: frame.StaffRequest, *, sealed: bool) -> ApprovalRequest:
    """What the page sent, put before others."""
    try:
        challenge = UUID(request.POST.get("challenge", ""))
    except ValueError:
        challenge = UUID(int=0)
    return actions.propose_passkey(
        challenge_id=challenge,
        session=session_of(request),
        client_data=request.POST.get("client_data", ""),
        attestation_object=request.POST.get("attestation_object", ""),
        label=request.POST.get("label", ""),
        reason=request.POST.get("reason", ""),
        sealed=sealed,
        actor=request.actor,
        now=clock.now(),
    )


def end(request: frame.StaffRequest, factor_id: UUID) -> HttpResponse:
    """Lost, broken or replaced: worth nothing from now on."""
    try:
        row = actions.end_factor(
            factor_id=factor_id,
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        if refusal.status == HTTPStatus.NOT_FOUND:
            raise
        return index(request, refusal)
    messages.success(request, f"“{row.label}” opens nothing any more. A new one needs another officer again.")
    return redirect("authenticators")


def begin_signing(request: frame.StaffRequest) -> HttpResponse:
    """Invite oneself to the approver host, where a passkey for signing is made."""
    try:
        row = actions.invite_signing(
            label=request.POST.get("label", ""),
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return index(request, refusal)
    return redirect("signing", row.pk)


def signing(
    request: frame.StaffRequest, registration_id: UUID, refusal: Refused | None = None
) -> HttpResponse:
    """The way to the registration page, and back with what was made there."""
    now = clock.now()
    row = queries.registration_for(registration_id, officer=request.identity)
    values = {
        "row": row,
        "waits": row.answered_at is None and row.expires_at is not None and row.expires_at > now,
        "approver": _invitation(request, row),
    }
    return frame.page(request, "console/new_signing.html", values, refusal=refusal, now=now)


def propose_signing(request: frame.StaffRequest, registration_id: UUID) -> HttpResponse:
    """Put the passkey that was made on the approver host before two others."""
    try:
        asked = actions.propose_signing(
            registration_id=registration_id,
            client_data=request.POST.get("client_data", ""),
            attestation_object=request.POST.get("attestation_object", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        if refusal.status == HTTPStatus.NOT_FOUND:
            raise
        return signing(request, registration_id, refusal)
    messages.success(
        request,
        "The passkey is proposed. Compare the fingerprint below with the one that you wrote down, and read "
        "yours to the two others before they sign.",
    )
    return redirect("approval", asked.pk)


def _invitation(request: frame.StaffRequest, row: Registration) -> str:
    """The registration page with the invitation in the fragment, which no server on the way gets to see."""
    me = request.identity
    asked: dict[str, canonical.Value] = {
        "deployment": settings.DEPLOYMENT,
        "known": " ".join(key.credential_id for key in me.credentials.filter(revoked_at=None)),
        "name": me.display_name,
        "nonce": bytes(row.nonce).hex(),
        "officer": str(me.pk),
        "registration": str(row.pk),
        "return": settings.CONSOLE_ORIGIN,
    }
    return f"{settings.APPROVER_ORIGIN}/register#{encodings.base64url(canonical.encode(asked))}"


def end_signing(request: frame.StaffRequest, credential: UUID) -> HttpResponse:
    """A signing passkey of one's own is lost: it signs nothing from now on."""
    try:
        row = staff.revoke_passkey(
            credential=credential,
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        if refusal.status == HTTPStatus.NOT_FOUND:
            raise
        return index(request, refusal)
    messages.success(request, f"“{row.label}” signs nothing any more. A new one needs two others.")
    return redirect("authenticators")


def _secret(request: frame.StaffRequest, draft: Draft) -> HttpResponse:
    secret = base64.b32encode(draft.secret).decode()
    name = quote(f"{ISSUER}:{request.identity.email}")
    code = segno.make(f"otpauth://totp/{name}?secret={secret}&issuer={ISSUER}", error="m")
    rows = list(code.matrix_iter(border=4))
    values = {
        "draft": draft.code,
        "secret": secret,
        "size": len(rows),
        "path": "".join(
            f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
        ),
    }
    return frame.page(request, "console/new_code.html", values)
