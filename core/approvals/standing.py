"""Where a request stands, judged by the kernel over people as they are now."""

from __future__ import annotations

from datetime import datetime

from core.access import rights
from core.access.models import Identity
from core.approvals.models import ApprovalRequest
from kernel.quorum import Given, Standing, judge


def standing_of(request: ApprovalRequest, now: datetime) -> Standing:
    """Count the answers. Someone who has left a team since signing no longer counts for it."""
    answers = [
        Given.by(row.officer_id, frozenset(row.teams) & teams_now(row.officer, now), row.verb)
        for row in request.signatures.select_related("officer").order_by("signed_at", "id")
    ]
    return judge(request.teams, answers, maker=request.maker_id, rejections_needed=request.rejections_needed)


def teams_now(officer: Identity, now: datetime) -> frozenset[str]:
    """The teams that the officer stands in at this moment; none when suspended."""
    return rights.teams_of(officer, now)
