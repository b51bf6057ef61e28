"""The session behind a request: whether it stands, and that its officer is still there."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.access.actions.sessions import end_session, mark_moved, whence_of
from core.access.domain.networks import Whence, has_moved
from core.access.domain.sessions import SEEN_EVERY, Why, timed_out
from core.access.models import OfficerSession
from core.actor import Actor


def settle(
    session: UUID, *, whence: Whence, actor: Actor, now: datetime
) -> tuple[OfficerSession | None, Why | None]:
    """The session if it stands and is this officer's; else why it is over, where it once stood.

    One whose limit has passed ends here, in the log as well. One that is used from elsewhere is marked as
    moved: whoever lets anything be done by it looks at `moved_at`.
    """
    row = OfficerSession.objects.filter(pk=session, officer_id=actor.identity).first()
    if row is None:
        return None, None
    if row.ended_at is not None:
        return None, Why(row.ended_why)
    why = timed_out(started=row.started_at, seen=row.seen_at, idles=row.idles, now=now)
    if why is None:
        if row.moved_at is None and has_moved(whence_of(row), whence):
            row = mark_moved(session_id=row.pk, whence=whence, actor=actor, now=now)
            if row.ended_at is not None:  # while it waited for whoever ended it
                return None, Why(row.ended_why)
        return row, None
    end_session(session_id=row.pk, why=why, actor=actor, now=now)
    return None, why


def stands(session: OfficerSession | None) -> bool:
    """Whether it has not been ended since it was settled; for what is answered over a long time."""
    return session is not None and OfficerSession.objects.filter(pk=session.pk, ended_at=None).exists()


def last_end(subject: str) -> datetime | None:
    """When the last session ended that the person of this subject at the edge had; None where none has."""
    ended = OfficerSession.objects.filter(officer__access_subject=subject, ended_at__isnull=False)
    return ended.order_by("-ended_at").values_list("ended_at", flat=True).first()


def seen(session: OfficerSession, *, now: datetime) -> None:
    """Remember that the person is still there: bookkeeping, once a minute at most, and no business data."""
    if now - session.seen_at >= SEEN_EVERY:
        OfficerSession.objects.filter(pk=session.pk, ended_at=None, seen_at__lt=now).update(seen_at=now)
