"""The mark that every view behind the edge carries: the permission without which it does not run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from django.http import HttpResponseBase

from core import clock
from core.access import pages, postures, rights
from core.access.actions.refusing import record_posture_refusal, record_view_refusal
from core.access.adapters.identities import AGAIN_S

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def requires(permission: str) -> Callable[[View], View]:
    """Run the view only for holders of the permission, on a device that is good enough for it.

    Everybody else gets a 403 that is audited and says who can help.
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
            try:
                demanded(request, permission, now=now)
            except postures.PostureMissing as refusal:
                return pages.refused(request, str(refusal), code=refusal.code)
            under = rights.elevations_of(request.identity, now)
            rests_on = (*request.actor.rests_on, f"access.permission/{permission}", *under.split())
            request.actor = replace(request.actor, under=under, rests_on=rests_on)
            return view(request, *args, **kwargs)

        guarded.permission = str(permission)  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def demanded(request: Any, permission: str, *, now: datetime) -> None:
    """Return if the device is good enough for what the permission opens; else PostureMissing, on record.

    The act rests on the edge's word for as long as that serves: one that is held up is not kept on it.
    A view calls this itself only where it exercises a permission other than the one that opens it.
    """
    try:
        until = postures.demand(permission, token=request.assertion, who=request.access, now=now)
    except postures.PostureMissing as refusal:
        record_posture_refusal(
            refusal=refusal,
            permission=str(permission),
            path=request.path,
            actor=request.actor,
            now=now,
        )
        raise
    if until is not None:
        rests_on = (*request.actor.rests_on, f"access.posture/{until.timestamp():.3f}")
        request.actor = replace(request.actor, rests_on=rests_on)


def look_again(request: Any, *, within_s: float = AGAIN_S) -> bool:
    """Ask the edge anew about whoever asks; whether it has answered so lately. The actor's device follows."""
    answer = postures.known(request.assertion, request.access, within_s=within_s)
    request.posture = answer.posture if answer else None
    request.actor = replace(request.actor, device=request.posture.device if request.posture else "")
    return answer is not None and answer.age_s < within_s


def permission_of(view: Any) -> str | None:
    """The permission that a view declares, looking through what wraps it; None where it declares none."""
    while view is not None:
        if found := getattr(view, "permission", None):
            return str(found)
        view = getattr(view, "__wrapped__", None)
    return None
