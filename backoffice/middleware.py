"""Doors: the host decides which URLconf answers, before anything else looks at the request."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from backoffice.headed import HEADERS, HSTS, NOTHING
from core import action, busy
from core.ids import new_id


class DoorMiddleware:
    """Set `request.door`, its URLconf and a request id; a host that is no open door here gets 421."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        door, urlconf = _door_of(request)
        if door not in settings.OPEN_DOORS:
            answer = HttpResponse("No such door.\n", status=421, content_type="text/plain")
            return _with_headers(request, answer, is_page=False)
        request.door = door  # type: ignore[attr-defined]
        request.urlconf = urlconf
        request.id = str(new_id())  # type: ignore[attr-defined]
        request.kept = action.watch()  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-Id"] = request.id  # type: ignore[attr-defined]
        return _with_headers(request, response, is_page=door == "console")


class BusyMiddleware:
    """Say of an act that the database broke off what is known of it: nothing was done, or nobody can say.

    The door's own handler of failures says the same where the database is lost before or after the view.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """503 for what another time may go through; None for everything else."""
        if not busy.is_busy(exception):
            return None
        if request.door not in ("console", "service"):  # type: ignore[attr-defined]
            return None
        from backoffice.console.views import errors

        return errors.broken_off(request, exception)


def _with_headers(request: HttpRequest, response: HttpResponse, *, is_page: bool) -> HttpResponse:
    """The answer with what every door says; where nobody is meant to look at it, it may do nothing."""
    if not is_page:
        response["Content-Security-Policy"] = NOTHING
    if not request.path.startswith(settings.STATIC_URL):
        response.headers.setdefault("Cache-Control", "no-store")
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if settings.SECURE:
        response.headers.setdefault("Strict-Transport-Security", HSTS)
    return response


def _door_of(request: HttpRequest) -> tuple[str, str]:
    """The door's name and URLconf; empty names for a host that is none of ours."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return "", ""
    return settings.DOORS.get(host.rsplit(":", 1)[0], ("", ""))


def failed(request: HttpRequest) -> HttpResponse:
    """The answer where a request broke off before any URLconf was asked: while a door asks who it is."""
    if getattr(request, "door", "") in ("console", "service"):
        from backoffice.console.views import errors

        return errors.failed(request)
    return HttpResponse("Something failed here.\n", status=500, content_type="text/plain")


def closed(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """The answer where no URLconf answers."""
    return HttpResponse("No such door.\n", status=404, content_type="text/plain")
