"""What the scheduler does with requests."""

from __future__ import annotations

from celery import current_app, shared_task, signature

from core import clock
from core.actor import system
from core.approvals.actions import expire_request
from core.approvals.queries import overdue


@shared_task(name="approvals.expire", ignore_result=True)  # type: ignore[untyped-decorator]
def expire() -> None:
    """Close requests whose deadline has passed, so that screens and subjects need not guess."""
    for request_id in overdue():
        expire_request(request_id=request_id, actor=system("approvals-expiry"), now=clock.now())


current_app.add_periodic_task(30.0, signature("approvals.expire"), name="approvals.expire")
