"""The service door: what our own programs may ask, with a service token of the edge."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe

from core import clock
from core.access import requires
from core.health import queries
from core.health.permissions import Permission as Health


def health(request: Any) -> HttpResponse:
    """Every part and its reading, for a metrics collector; 503 while one is down."""
    parts = queries.parts(now=clock.now())
    document = {
        part.name: {
            "status": part.reading.status,
            "sentence": part.reading.sentence,
            "facts": dict(part.reading.facts),
        }
        for part in parts
    }
    is_down = any(part.reading.status == "down" for part in parts)
    return JsonResponse({"parts": document}, status=503 if is_down else 200)


urlpatterns: list[Any] = [
    path("health", requires(Health.SEE_PROBES)(require_safe(health)), name="service_health"),
]

handler400 = "backoffice.console.views.errors.bad_request"
handler403 = "backoffice.console.views.errors.forbidden"
handler404 = "backoffice.console.views.errors.not_found"
handler500 = "backoffice.console.views.errors.failed"
