"""What the approvals app writes into the audit log and announces."""

from __future__ import annotations

from enum import StrEnum

from core import outbox


class Event(StrEnum):
    """The steps of a request."""

    OPENED = "approvals.request.opened"
    ASKED = "approvals.request.asked"
    WAIVED = "approvals.waiver.recorded"
    SIGNED = "approvals.request.signed"
    WITHDRAWN = "approvals.request.withdrawn"
    EXPIRED = "approvals.request.expired"
    READ = "approvals.request.read"
    POLICY_DRAFTED = "approvals.policy.drafted"
    POLICY_TESTED = "approvals.policy.tested"
    POLICY_ASKED = "approvals.policy.asked"
    POLICY_PUBLISHED = "approvals.policy.published"
    POLICY_REJECTED = "approvals.policy.rejected"
    POLICY_DROPPED = "approvals.policy.dropped"


@outbox.message("approvals.moved")
class RequestMoved:
    """A request reached another state, or another signature: screens that count open work look again."""

    request: str
    kind: str
    state: str
