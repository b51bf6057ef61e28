"""The hooks door: where providers deliver. It believes a signature over the raw bytes and nothing else.

The answer says 200 as soon as the bytes are stored, and never depends on what they mean; no provider is
called from here. Whatever does not verify gets one constant 401, also an endpoint that does not exist.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from core import clock
from core.actor import Actor
from kyc import actions, queries
from kyc.domain.deliveries import BODY_BYTES_MAX, signed_by_onfido, signed_by_sumsub
from kyc.models import Provider


@csrf_exempt
@require_POST
def receive(request: HttpRequest, provider: str, endpoint_id: UUID) -> HttpResponse:
    """Take one delivery: length, raw body, signature, storage, answer; in this order."""
    length = request.headers.get("Content-Length", "0")
    if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
        return _too_long()
    try:
        raw = request.body
    except RequestDataTooBig:
        return _too_long()
    if len(raw) > BODY_BYTES_MAX:
        return _too_long()
    now = clock.now()
    secrets = queries.secrets_of(endpoint_id, provider=provider)
    if secrets is None:
        return _unverified()
    caller: Actor = request.actor  # type: ignore[attr-defined]  # set by the access middleware
    actor = replace(caller, kind="service", label=f"{provider} webhook")
    if not _is_signed(request, raw, provider, secrets):
        actions.note_unverified(endpoint_id=endpoint_id, raw=raw, ip=actor.ip, actor=actor, now=now)
        return _unverified()
    actions.receive_delivery(endpoint_id=endpoint_id, raw=raw, actor=actor, now=now)
    return JsonResponse({"ok": True})


def _is_signed(request: HttpRequest, raw: bytes, provider: str, secrets: list[bytes]) -> bool:
    if provider == Provider.ONFIDO:
        return signed_by_onfido(raw, digest=request.headers.get("X-SHA2-Signature"), secrets=secrets)
    return signed_by_sumsub(
        raw,
        digest=request.headers.get("X-Payload-Digest"),
        algorithm=request.headers.get("X-Payload-Digest-Alg"),
        secrets=secrets,
    )


def _too_long() -> HttpResponse:
    return JsonResponse({"ok": False}, status=413)


def _unverified() -> HttpResponse:
    return JsonResponse({"ok": False}, status=401)
