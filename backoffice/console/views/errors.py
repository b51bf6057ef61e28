"""What is shown when a page could not be: plain sentences that need neither database nor identity."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400."""
    return _page(request, 400, "The request could not be read", "Nothing was changed. Go back and try again.")


def unstorable(request: HttpRequest) -> HttpResponse:
    """400, for a form that could not be kept as it is."""
    return _page(
        request,
        400,
        "Nothing was done",
        "A field holds the character U+0000, which cannot be stored. It comes along where something is "
        "pasted. Go back, type that part by hand, and send the form again.",
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403."""
    return _page(
        request, 403, "Not allowed", "Nothing was changed. A senior officer can have your role changed."
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404."""
    return _page(
        request, 404, "Not found", "There is no such page, or nothing of that name that you may know of."
    )


def failed(request: HttpRequest) -> HttpResponse:
    """500."""
    return _page(
        request,
        500,
        "Something failed here",
        "If you were changing something, look at it again before you repeat it: it either happened whole or "
        "not at all. The SRE on call finds the cause by the request number below.",
    )


def _page(request: Any, status: int, title: str, sentence: str) -> HttpResponse:
    values = {"status": status, "title": title, "sentence": sentence, "reference": getattr(request, "id", "")}
    part = request.headers.get("HX-Request") == "true"
    return render(None, "console/error_part.html" if part else "console/error.html", values, status=status)
