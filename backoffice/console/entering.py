"""Starting a session: the edge says who somebody is, an authenticator of theirs shows that they are here.

Until then nothing of the console opens but the pages on which an authenticator is registered and the glass is
broken. A session belongs to one subject of the edge, gets a new name when it is entered, lasts eight hours at
most, and ends with the authenticator that entered it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme

from core.factors import queries

View = Callable[..., HttpResponseBase]

OUTSIDE: Final = 401
_ENTERED: Final = "entered"
_SEATED: Final = "seated"


def inside(view: View) -> View:
    """Run the view only in a session that was entered; else show how one is."""

    @functools.wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs) if is_inside(request) else outside(request)

    return guarded


def is_inside(request: Any) -> bool:
    """Whether this session was entered by whoever asks, with an authenticator that is still theirs."""
    if not hasattr(request, "is_inside"):
        challenge = request.session.get(_ENTERED, "")
        request.is_inside = bool(challenge) and queries.entered(request.identity, challenge=challenge)
    return bool(request.is_inside)


def outside(request: Any) -> HttpResponse:
    """The page with the one button that starts a session. It writes nothing: looking is no beginning."""
    values = {
        "identity": request.identity,
        "has_factor": bool(queries.active(request.identity)),
        "next": request.path if request.method == "GET" else "/",
        "code": "console.outside",
        "was_act": request.method != "GET",
    }
    answer = render(request, "console/enter.html", values, status=OUTSIDE)
    answer["WWW-Authenticate"] = "Ceremony"
    return answer


def enter(request: Any) -> HttpResponse:
    """The ceremony has held: this session is the person's from now on, under a new name."""
    request.session.cycle_key()
    request.session[_ENTERED] = request.actor.proof.partition("/")[2]
    path = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(path, allowed_hosts=None) and path.startswith("/")
    return redirect(path if safe else "home")


def hold(request: Any) -> None:
    """Somebody has used a key out of the safe: while the glass is broken, that lets them in."""
    if not is_inside(request):
        request.session.cycle_key()
        request.session[_ENTERED] = request.actor.proof.partition("/")[2]


def leave(request: Any) -> HttpResponse:
    """End this session, here and now."""
    request.session.flush()
    return redirect("home")


def session_of(request: Any) -> str:
    """The name of this sitting, to which challenges are bound. Only forms ask: it begins one if need be."""
    if request.session.session_key is None or _SEATED not in request.session:
        request.session[_SEATED] = True
        request.session.save()
    return hashlib.sha256(request.session.session_key.encode()).hexdigest()
