"""What is shown when a page could not be: plain sentences that need neither database nor identity."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve

from core import busy

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 5
_ASIDE: Final = ("factors.ceremony.", "access.session.")
"""Acts by which a person shows who they are, on the way to what they asked for."""


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
    """500, or 503 where the database was lost before a view was reached, or after it."""
    error = sys.exc_info()[1]
    if error is not None and busy.is_busy(error):
        return broken_off(request, error)
    return _page(
        request,
        500,
        "Something failed here",
        "If you were changing something, look at it again before you repeat it: it either happened whole or "
        "not at all. The SRE on call finds the cause by the request number below.",
    )


def broken_off(request: Any, error: BaseException) -> HttpResponse:
    """503: the database was busy, or away. Whether anything was done is said only where it is certain."""
    log.error("%s %s was broken off", request.method, request.path, exc_info=error)
    kept = [event for event in getattr(request, "kept", ()) if not event.startswith(_ASIDE)]
    if isinstance(error, busy.OutcomeUnknown):
        title, sentence = "Nobody can say yet whether this was done", _UNKNOWN
    elif kept:
        title, sentence = "Something of this was done", _PARTLY
    elif request.method in ("GET", "HEAD"):
        title, sentence = "Busy: the page could not be shown", _UNREAD
    else:
        title, sentence = "Busy: nothing was done", _UNDONE
    if getattr(request, "door", "") == "service":
        answer: HttpResponse = JsonResponse({"code": "busy", "message": sentence}, status=503)
    else:
        answer = _page(request, 503, title, sentence, look=_screen_above(request))
    answer["Retry-After"] = str(RETRY_AFTER_S)
    return answer


_WHO: Final = "If it stays like this, the SRE on call finds the cause by the request number below."
_UNREAD: Final = f"The database did not answer in time. Wait a few seconds, then load the page again. {_WHO}"
_UNDONE: Final = (
    "The database was held up, and what you asked for was broken off before any of it was kept. Wait a few "
    f"seconds, go back, and send the form again; a confirmation is asked for anew. {_WHO}"
)
_UNKNOWN: Final = (
    "The connection to the database broke at the very moment at which this was to be kept. It happened whole "
    "or not at all: look before you repeat it. If it cannot be seen there, ask the SRE on call, who finds it "
    "in the audit log by the request number."
)
_PARTLY: Final = (
    "The database was lost after something of this had been kept already. Look before you repeat it. If it "
    "cannot be seen there, ask the SRE on call, who finds it in the audit log by the request number."
)


def _screen_above(request: HttpRequest) -> str:
    """The screen to which the act belongs: what is changed at /things/1/end is seen at /things/1/."""
    if request.method in ("GET", "HEAD"):
        return request.path
    parts = request.path.strip("/").split("/")[:-1]
    while parts:
        path = f"/{'/'.join(parts)}/"
        try:
            resolve(path, urlconf=getattr(request, "urlconf", None))
        except Resolver404:
            parts.pop()
        else:
            return path
    return "/"


def _page(request: Any, status: int, title: str, sentence: str, look: str = "") -> HttpResponse:
    values = {
        "status": status,
        "title": title,
        "sentence": sentence,
        "look": look,
        "reference": getattr(request, "id", ""),
    }
    part = request.headers.get("HX-Request") == "true"
    return render(None, "console/error_part.html" if part else "console/error.html", values, status=status)
