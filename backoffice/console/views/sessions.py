"""The officer's own session, seen and ended with all others; and the end of somebody else's."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from backoffice.console import frame
from backoffice.console.views import staff
from core import clock
from core.access import postures
from core.access.actions.sessions import end_all_sessions
from core.access.domain.sessions import ABSOLUTE, IDLE
from core.refusals import Refused

LOGOUT = "/cdn-cgi/access/logout"
"""The edge's own way out."""


def show(request: frame.StaffRequest) -> HttpResponse:
    """Since when the session is open, from where, when it will end, and what the edge says of the device."""
    session = request.officer_session
    assert session is not None
    values = {
        "session": session,
        "ends_at": session.started_at + ABSOLUTE,
        "idle_minutes": int(IDLE.total_seconds()) // 60,
        "device": request.posture.device if request.posture else "",
        "checks": postures.findings(request.posture, now=clock.now()),
    }
    return frame.page(request, "console/session.html", values)


def end_all(request: frame.StaffRequest) -> HttpResponse:
    """End everything that the person has open anywhere, and leave by the edge's own way out.

    By a page and not by a redirect: the edge leads on to its own host, and a form of ours may not lead there.
    """
    end_all_sessions(person=request.identity.pk, reason="by the person", actor=request.actor, now=clock.now())
    request.session.flush()
    answer = render(request, "console/ended.html", {"logout": LOGOUT})
    answer["Refresh"] = f"0; url={LOGOUT}"
    return answer


def end_theirs(request: frame.StaffRequest, person: UUID) -> HttpResponse:
    """End everything that a colleague has open; their rights stay."""
    reason = request.POST.get("reason", "")
    try:
        end_all_sessions(person=person, reason=reason, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return staff.show(request, person, refusal)
    messages.success(request, "Everything that was open is ended. The person signs in at the edge anew.")
    return redirect("person", person)
