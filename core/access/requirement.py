"""The mark that every view behind the edge carries: the permission without which it does not run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from django.http import HttpResponseBase

from core import clock
from core.access import pages, rights
from core.access.actions.refusing import record_view_refusal

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def requires(permission: str) -> Callable[[View], View]:
    """Run the view only for holders of the permission; everybody else gets a 403 that is audited.

    The mark stays readable as `view.permission`, so that a test can walk the URLconf and find the view that
    forgot it.
    """

    def decorate(view: View) -> View:
        if inspect.iscoroutinefunction(view):
            raise TypeError("requires() guards plain views; a coroutine would start before it is asked")

        @functools.wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
            now = clock.now()
            if not rights.allowed(request.identity, permission, now):
                record_view_refusal(
                    permission=str(permission), path=request.path, actor=request.actor, now=now
                )
                return pages.refused(
                    request,
                    "Your role does not open this page. A senior officer can have your role changed.",
                    code="not_allowed",
                )
            request.actor = replace(request.actor, under=rights.elevations_of(request.identity, now))
            return view(request, *args, **kwargs)

        guarded.permission = str(permission)  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def permission_of(view: Any) -> str | None:
    """The permission that a view declares, looking through what wraps it; None where it declares none."""
    while view is not None:
        if found := getattr(view, "permission", None):
            return str(found)
        view = getattr(view, "__wrapped__", None)
    return None
