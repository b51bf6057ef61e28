"""The first screen: what needs me."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from backoffice.console import frame, waiting
from core import access, clock
from core.approvals import asking
from core.approvals import queries as approvals
from core.approvals.lacks import lacks_of
from core.health import queries as health
from core.health.probes import Status


def show(request: frame.StaffRequest) -> HttpResponse:
    """Everything that waits for this person, then what waits for others, then what is not well."""
    now = clock.now()
    powers = access.powers(request.identity, now)
    mine = waiting.of(request.identity, now=now)
    known = {row.pk for row in mine.approvals}
    others = [
        row for row in approvals.open_requests(identity=request.identity, now=now)[:20] if row.pk not in known
    ]
    sick = []
    if "health:probe:read" in powers:
        sick = [part for part in health.parts(now=now) if part.reading.status is not Status.UP]
    return frame.page(
        request,
        "console/home.html",
        {
            "mine": mine,
            "others": others,
            "drafts": asking.drafts([*mine.approvals, *others]),
            "lacks": lacks_of([*mine.approvals, *others], now),
            "sick": sick,
            "powers": powers,
        },
        now=now,
    )


def pulse(request: frame.StaffRequest) -> HttpResponse:
    """The navigation alone, with fresh counts; the page asks for it now and then."""
    here = request.headers.get("HX-Current-URL", "")
    return render(request, "console/nav.html", {"frame": frame.around(request, now=clock.now(), here=here)})
