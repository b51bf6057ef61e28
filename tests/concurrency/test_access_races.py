"""Two who enter at the same moment …"""

from __future__ import annotations

from functools import partial

import pytest

from core import clock
from core.access.actions.sessions import mark_moved, start_session
from core.access.domain.networks import Whence
from core.access.models import OfficerSession
from core.audit.models import AuditEvent
from core.staff.actions import suspend_person
from tests.officers import Officer, enrol
from tests.racing import at_once, done, refused

ROUNDS = 6
HERE = Whence("203.0.113.7", country="DE", device="laptop-1")


def entered(officer: Officer) -> OfficerSession:
    return start_session(idles=True, whence=HERE, actor=officer.actor, now=clock.now())


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
