"""Which part works."""

from __future__ import annotations

from django.http import HttpResponse

from backoffice.console import frame
from core import clock
from core.health import queries


def show(request: frame.StaffRequest) -> HttpResponse:
    """Every registered part, what is down first."""
    now = clock.now()
    return frame.page(request, "console/health.html", {"parts": queries.parts(now=now)}, now=now)
