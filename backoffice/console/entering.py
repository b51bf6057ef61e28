"""Starting a session: the edge says who somebody is, an authenticator of theirs shows that they are here.

Until then nothing of the console opens but the pages on which an authenticator is registered and the glass is
broken. A session belongs to one subject of the edge, gets a new name when it is entered, and ends with the
authenticator that entered it. Its row (`core.access.sessions`) keeps the rest: one per officer, fifteen
minutes without a request, eight hours at most, and its end from elsewhere.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme

from core import clock
from core.access import sessions
from core.access.actions.sessions import end_session, start_session
from core.access.domain.sessions import SENTENCES, Why
from core.access.requirement import look_again
from core.factors import queries

View = Callable[..., HttpResponseBase]

OUTSIDE: Final = 401
_ENTERED: Final = "entered"
_SITTING: Final = "sitting"
_SEATED: Final = "seated"


def inside(view: View) -> View:
    """Run the view only in a session that was entered; else show how one is."""

    @functools.wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_inside(request):
            return outside(request)
        if not _asks_by_itself(request):
            sessions.seen(request.officer_session, now=clock.now())
        return view(request, *args, **kwargs)

    return guarded


def is_inside(request: Any) -> bool:
    """Whether this session was entered by whoever asks, with an authenticator that is still theirs."""
    if not hasattr(request, "is_inside"):
        challenge, sitting = request.session.get(_ENTERED, ""), request.session.get(_SITTING, "")
        request.officer_session, request.session_over = None, None
        if sitting:
            request.officer_session, request.session_over = sessions.settle(
                UUID(sitting), actor=request.actor, now=clock.now()
            )
        request.is_inside = request.officer_session is not None and queries.entered(
            request.identity, challenge=challenge
        )
    return bool(request.is_inside)


def _asks_by_itself(request: Any) -> bool:
    """Whether the page asks, as it does every few seconds: no sign of the person, so it keeps nothing."""
    return request.method == "GET" and request.headers.get("HX-Request") == "true"


def outside(request: Any) -> HttpResponse:
    """The page with the one button that starts a session. It writes nothing: looking is no beginning."""
    over = request.session_over
    values = {
        "identity": request.identity,
        "has_factor": bool(queries.active(request.identity)),
        "next": request.path if request.method == "GET" else "/",
        "code": "console.outside",
        "over": SENTENCES[over] if over else "",
        "was_act": request.method != "GET",
    }
    answer = render(request, "console/enter.html", values, status=OUTSIDE)
    answer["WWW-Authenticate"] = "Ceremony"
    if _asks_by_itself(request):
        answer["HX-Refresh"] = "true"  # the whole page shows the entrance, not a part of it
    return answer


def enter(request: Any) -> HttpResponse:
    """The ceremony has held: this session is the person's from now on, under a new name."""
    _sit_down(request, idles=True)
    path = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(path, allowed_hosts=None) and path.startswith("/")
    return redirect(path if safe else "home")


def hold(request: Any) -> None:
    """Somebody has used a key out of the safe: while the glass is broken, that lets them in."""
    if not is_inside(request):
        _sit_down(request, idles=False)


def _sit_down(request: Any, *, idles: bool) -> None:
    look_again(request)
    row = start_session(
        idles=idles,
        country=request.headers.get("Cf-Ipcountry", "")[:2],
        groups=request.posture.groups if request.posture else None,
        actor=request.actor,
        now=clock.now(),
    )
    request.session.cycle_key()
    request.session[_ENTERED], request.session[_SITTING] = request.actor.proof.partition("/")[2], str(row.pk)


def leave(request: Any) -> HttpResponse:
    """End this session, here and now."""
    end_session(session_id=request.officer_session.pk, why=Why.ENDED, actor=request.actor, now=clock.now())
    request.session.flush()
    return redirect("home")


def session_of(request: Any) -> str:
    """The name of this sitting, to which challenges are bound. Only forms ask: it begins one if need be."""
    if request.session.session_key is None or _SEATED not in request.session:
        request.session[_SEATED] = True
        request.session.save()
    return hashlib.sha256(request.session.session_key.encode()).hexdigest()
