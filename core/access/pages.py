"""The answer to somebody who may not: one clear sentence, on paper of the door's kind."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string


def refused(request: Any, sentence: str, *, code: str, status: int = 403) -> HttpResponse:
    """A page on the console (a fragment where htmx asked), JSON on the service door."""
    reference = getattr(request, "id", "")
    if request.door == "service":
        return JsonResponse({"code": str(code), "message": sentence, "request": reference}, status=status)
    template = (
        "access/refused_part.html" if request.headers.get("HX-Request") == "true" else "access/refused.html"
    )
    values = {"sentence": sentence, "code": str(code), "reference": reference, "status": status}
    return HttpResponse(render_to_string(template, values), status=status)
