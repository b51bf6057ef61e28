"""What a line of the console's URLs is made of: a page that is read, or an act that is posted to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from backoffice.console.ceremony import confirmed
from backoffice.console.entering import inside
from backoffice.console.views import errors
from core.access import requires
from core.factors.domain.strength import Needs

View = Callable[..., HttpResponseBase]


def screen(
    route: str, permission: StrEnum, view: View, name: str, before_entering: bool = False
) -> URLPattern:
    """A page: it is read, and reading changes nothing. It opens in a session that was entered."""
    asked = storable(view)
    shown = asked if before_entering else inside(asked)
    return path(route, requires(permission)(require_safe(shown)), name=name)


def act(
    route: str,
    permission: StrEnum,
    view: View,
    name: str,
    step_up: Needs | None = None,
    before_entering: bool = False,
    when_moved: bool = False,
) -> URLPattern:
    """A form's target: posted to and never followed, from no other site, and where marked only confirmed."""
    inner = storable(view if step_up is None else confirmed(step_up, view))
    done = inner if before_entering else inside(inner, when_moved=when_moved)
    return path(route, requires(permission)(require_POST(from_here(done))), name=name)


def storable(view: View) -> View:
    """Run the view unless a field, or what is looked for, holds U+0000, which PostgreSQL keeps in no text."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        said = (*request.POST.lists(), *request.GET.lists())
        if any("\0" in value for _, values in said for value in values):
            return errors.unstorable(request)
        return view(request, *args, **kwargs)

    return guarded


def from_here(view: View) -> View:
    """Run the view unless the browser itself says that another origin sent the form.

    A second line behind the CSRF token, which falls alone wherever somebody can set cookies for our domain.
    """

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return errors.forbidden(request)
        return view(request, *args, **kwargs)

    return guarded
