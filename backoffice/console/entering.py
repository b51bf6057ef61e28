"""Starting a session: the edge says who somebody is, an authenticator of theirs shows that they are here.

Until then nothing of the console opens but the pages on which an authenticator is registered and the glass is
broken. A session belongs to one subject of the edge, gets a new name when it is entered, and ends with the
authenticator that entered it. Its row (`core.access.sessions`) keeps the rest: one per officer, fifteen
minutes without a request, eight hours at most, its end from elsewhere, and whether it has moved.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme

from core import clock
from core.access import doors, sessions
from core.access.actions.sessions import end_session, start_session
from core.access.domain.networks import Whence
from core.access.domain.sessions import SENTENCES, Why
from core.access.requirement import look_again
from core.factors import queries
from core.refusals import NotAllowed


class EdgeSilent(NotAllowed):
    """Somebody has come from elsewhere, and the edge cannot be asked who they are."""

    code: ClassVar[str] = "session.edge_silent"


View = Callable[..., HttpResponseBase]

OUTSIDE: Final = 401
MOVED: Final = (
    "Your network or your device is another one than when your session began. You can read on. Before you do "
    "anything, show again that it is you."
)
_ENTERED: Final = "entered"
_SITTING: Final = "sitting"
_SEATED: Final = "seated"


def inside(view: View, *, when_moved: bool = False) -> View:
    """Run the view only in a session that was entered; else show how one is.

    A session that is used from elsewhere goes on reading. Before it does anything it is entered again, except
    for what runs `when_moved`: its own end.
    """

    @functools.wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_inside(request):
            return outside(request)
        if has_moved(request) and not when_moved and request.method not in ("GET", "HEAD"):
            return outside(request)
        if request.method not in ("GET", "HEAD") and not when_moved:
            _rest_on_session(request)
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
                UUID(sitting), whence=_whence(request), actor=request.actor, now=clock.now()
            )
        request.is_inside = request.officer_session is not None and queries.entered(
            request.identity, challenge=challenge
        )
    return bool(request.is_inside)


def has_moved(request: Any) -> bool:
    """Whether whoever is inside has come to another network, country or device since they entered."""
    return is_inside(request) and request.officer_session.moved_at is not None


def _rest_on_session(request: Any) -> None:
    """Whatever is done here does not happen once the session, or what it was entered with, has ended."""
    sitting = f"access.session/{request.officer_session.pk}"
    ceremony = f"factors.entrance/{request.session[_ENTERED]}"
    request.actor = replace(request.actor, rests_on=(*request.actor.rests_on, sitting, ceremony))


def _whence(request: Any) -> Whence:
    return doors.whence(request.headers, request.META.get("REMOTE_ADDR", ""), request.posture)


def _asks_by_itself(request: Any) -> bool:
    """Whether the page asks, as it does every few seconds: no sign of the person, so it keeps nothing."""
    return request.method == "GET" and request.headers.get("HX-Request") == "true"


def outside(request: Any) -> HttpResponse:
    """The page with the one button that starts a session. It writes nothing: looking is no beginning."""
    over = request.session_over
    moved = has_moved(request)
    values = {
        "identity": request.identity,
        "has_factor": bool(queries.active(request.identity)),
        "next": request.path if request.method == "GET" else "/",
        "code": "console.moved" if moved else "console.outside",
        "over": MOVED if moved else SENTENCES[over] if over else "",
        "was_act": request.method != "GET",
        "moved": moved,
    }
    answer = render(request, "console/enter.html", values, status=OUTSIDE)
    answer["WWW-Authenticate"] = "Ceremony"
    if _asks_by_itself(request):
        answer["HX-Refresh"] = "true"  # the whole page shows the entrance, not a part of it
    return answer


def enter(request: Any) -> HttpResponse:
    """The ceremony has held: this session is the person's from now on, with a new name.

    Whoever has moved needs the edge's word of this moment as well: their token may be somebody else's.
    """
    if has_moved(request) and not look_again(request):
        raise EdgeSilent(
            "Your session was not taken up again: it was begun on another network, and the edge does not say "
            "now that this is you. Wait five seconds and try again, or leave and sign in at the edge anew."
        )
    _sit_down(request, idles=True)
    path = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(path, allowed_hosts=None) and path.startswith("/")
    return redirect(path if safe else "home")


def hold(request: Any) -> None:
    """Somebody has used a key out of the safe: while the glass is broken, that lets them in."""
    if not is_inside(request) or has_moved(request):
        _sit_down(request, idles=False)


def _sit_down(request: Any, *, idles: bool) -> None:
    look_again(request)
    row = start_session(
        idles=idles,
        whence=_whence(request),
        issued_at=request.access.issued_at,
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
