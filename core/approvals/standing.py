"""Where requests stand, judged by the kernel over people as they are now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from core.access import rights
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.statements import is_genuine
from kernel.approval import Verb
from kernel.quorum import Given, Standing, judge


def standing_of(request: ApprovalRequest, now: datetime) -> Standing:
    """Count the answers whose signatures hold. Who has left a team since signing counts for it no longer, and
    a passkey that was revoked since agrees to nothing: it may have been in a thief's hand.
    """
    return standings_of([request], now)[request.pk]


def standings_of(requests: Sequence[ApprovalRequest], now: datetime) -> dict[UUID, Standing]:
    """The same for many requests, in two questions to the database."""
    given: dict[UUID, list[ApprovalSignature]] = defaultdict(list)
    for row in (
        ApprovalSignature.objects.filter(request__in=[request.pk for request in requests])
        .select_related("credential")
        .order_by("signed_at", "id")
    ):
        given[row.request_id].append(row)
    teams = rights.teams_of_all({row.officer_id for rows in given.values() for row in rows}, now)
    return {
        request.pk: judge(
            request.teams,
            [
                Given.by(row.officer_id, frozenset(row.teams) & teams[row.officer_id], row.verb)
                for row in given[request.pk]
                if is_genuine(request, row)
                and (row.credential.revoked_at is None or Verb(row.verb) is Verb.REJECT)
            ],
            maker=request.maker_id,
            rejections_needed=request.rejections_needed,
            agreeing=Verb(request.agreeing),
        )
        for request in requests
    }
