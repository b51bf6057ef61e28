"""The kinds of approval by which an authenticator becomes worth something: one other officer agrees."""

from __future__ import annotations

from typing import Final

from core.access.permissions import Permission
from core.approvals.kinds import Kind
from core.factors.applying import activate, drop
from core.factors.domain import enrolments

KINDS: Final = tuple(
    Kind(
        name=enrolment.kind,
        permission=Permission.APPROVE_STAFF,
        on_approved=activate,
        on_rejected=drop,
        on_expired=drop,
        title=title,
        floor=floor,
        facts=enrolment.tells,
    )
    for enrolment, title, floor in (
        (enrolments.Passkey, "A passkey for the console is added", enrolments.TEAMS),
        (enrolments.Code, "An authenticator app is added", enrolments.TEAMS),
        (enrolments.SealedKey, "A key for the safe is added", enrolments.SAFE_TEAMS),
    )
)
