"""Two who enter at the same moment …"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from core import clock
from core.access import sessions
from core.access.actions.sessions import (
    SignedOut,
    end_all_sessions,
    end_session,
    mark_moved,
    start_session,
)
from core.access.domain.networks import Whence
from core.access.domain.sessions import Why
from core.access.models import Identity, OfficerSession, SignedOutSubject
from core.audit.models import AuditEvent
from core.staff.actions import suspend_person
from tests.officers import Officer, enrol
from tests.racing import at_once, done, queued, refused

ROUNDS = 6
HERE = Whence("203.0.113.7", country="DE", device="laptop-1")


def entered(officer: Officer) -> OfficerSession:
    now = clock.now()
    return start_session(idles=True, whence=HERE, issued_at=now, actor=officer.actor, now=now)


def named(action: str) -> int:
    return AuditEvent.objects.extra(where=["canon::jsonb->>'action' = %s"], params=[action]).count()


@pytest.mark.usefixtures("real_database")
def test_leave_one_session_and_each_is_told_which_it_replaced() -> None:
    ana = enrol(now=clock.now()).ana
    for round_ in range(1, ROUNDS + 1):
        started = done(at_once(*(partial(entered, ana) for _ in range(3))))
        assert len(started) == 3
        (left,) = OfficerSession.objects.filter(ended_at=None)
        assert left.pk in {row.pk for row in started}
        assert OfficerSession.objects.filter(ended_why="replaced").count() == 3 * round_ - 1
    assert named("access.session.started") == 3 * ROUNDS


@pytest.mark.usefixtures("real_database")
def test_one_of_them_being_their_suspension_leave_no_session() -> None:
    staff = enrol(now=clock.now())
    for officer in (staff.ben, staff.cy, staff.dot, staff.eve, staff.sam):
        suspended = partial(
            suspend_person,
            person=officer.identity.pk,
            reason="a stolen laptop",
            actor=staff.ana.actor,
            now=clock.now(),
        )
        results = at_once(partial(entered, officer), suspended, partial(entered, officer))
        assert len(done(results)) + len(refused(results)) == 3
        assert not OfficerSession.objects.filter(ended_at=None).exists()


@pytest.mark.usefixtures("real_database")
def test_and_are_then_seen_elsewhere_at_once_are_written_down_once() -> None:
    ana = enrol(now=clock.now()).ana
    for round_ in range(1, ROUNDS + 1):
        row = entered(ana)
        elsewhere = partial(
            mark_moved,
            session_id=row.pk,
            whence=Whence("198.51.100.7"),
            actor=ana.actor,
            now=clock.now(),
        )
        assert all(each.moved_at for each in done(at_once(elsewhere, elsewhere, elsewhere)))
        assert named("access.session.moved") == round_


@pytest.mark.usefixtures("real_database")
def test_from_elsewhere_while_the_session_is_ended_are_outside_and_not_at_home() -> None:
    """A thief's request has read that the session stands, and waits to write down that it has moved."""
    ana = enrol(now=clock.now()).ana
    row = entered(ana)
    ends = partial(end_session, session_id=row.pk, why=Why.ENDED, actor=ana.actor, now=clock.now())
    there = Whence("198.51.100.7", country="FR", device="laptop-1")
    asks = partial(sessions.settle, row.pk, whence=there, actor=ana.actor, now=clock.now())
    assert queued(row, ends, asks)[1] == (None, Why.ENDED)


@pytest.mark.usefixtures("real_database")
def test_with_a_token_from_before_the_end_of_all_sessions_get_none_after() -> None:
    """The token was looked at before, and the ceremony held; then everything of the person was ended."""
    ana = enrol(now=clock.now()).ana
    entered(ana)
    ends = partial(
        end_all_sessions, person=ana.identity.pk, reason="stolen", actor=ana.actor, now=clock.now()
    )
    results = queued(Identity.objects.get(pk=ana.identity.pk), ends, partial(entered_before, ana))
    assert isinstance(results[1], SignedOut)
    assert not OfficerSession.objects.filter(ended_at=None).exists()


def entered_before(officer: Officer) -> OfficerSession:
    now = clock.now()
    before = now - timedelta(minutes=1)
    return start_session(idles=True, whence=HERE, issued_at=before, actor=officer.actor, now=now)


@pytest.mark.usefixtures("real_database")
def test_to_end_all_sessions_leave_the_later_of_both_moments() -> None:
    """Whoever clicked first and was heard last makes no token good again that was issued in between."""
    ana = enrol(now=clock.now()).ana
    first = clock.now()
    later = first + timedelta(seconds=3)
    ends = [
        partial(end_all_sessions, person=ana.identity.pk, reason="stolen", actor=ana.actor, now=moment)
        for moment in (later, first)
    ]
    queued(Identity.objects.get(pk=ana.identity.pk), *ends)
    assert SignedOutSubject.objects.get().tokens_before == later
