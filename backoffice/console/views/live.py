"""What an officer's open pages may be told of. The socket asks this view, and so is judged like a page."""

from __future__ import annotations

from django.http import JsonResponse

from backoffice.console import frame
from backoffice.console.topics import OPENS
from core import access, clock


def show(request: frame.StaffRequest) -> JsonResponse:
    """Which session this is, and the topics that the person's roles open now."""
    assert request.officer_session is not None
    powers = access.powers(request.identity, clock.now())
    topics = [topic for topic, permission in OPENS.items() if permission in powers]
    return JsonResponse({"sitting": str(request.officer_session.pk), "topics": topics})
