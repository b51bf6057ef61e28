"""Everything that a person has open …"""

from __future__ import annotations

from datetime import datetime

import pytest

from core.access.actions.sessions import WhyMissing, end_all_sessions, start_session
from core.access.domain.networks import Whence
from core.access.models import OfficerSession, SignedOutSubject
from core.audit.models import AuditEvent
from core.refusals import NotAllowed, Refused
from tests.officers import Staff

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("who", "reason", "refusal"),
    [("dot", "x", NotAllowed), ("eve", "x", NotAllowed), ("ana", " ", WhyMissing)],
)
def test_is_ended_by_nobody_else_without_the_right_or_the_reason(
    staff: Staff, now: datetime, who: str, reason: str, refusal: type[Refused]
) -> None:
    session = start_session(
        idles=True, whence=Whence("192.0.2.7"), issued_at=now, actor=staff.ben.actor, now=now
    )
    person, actor = staff.ben.identity.pk, getattr(staff, who).actor
    with pytest.raises(refusal):
        end_all_sessions(person=person, reason=reason, actor=actor, now=now)
    assert OfficerSession.objects.get(ended_at=None) == session
    assert not SignedOutSubject.objects.exists()
    last = AuditEvent.objects.order_by("-id")[0].doc
    assert (last["action"], last["target"]) == (
        "access.session.all_ended.refused",
        f"access.identity/{person}",
    )


def test_is_ended_by_themselves_and_by_whoever_may_suspend(staff: Staff, now: datetime) -> None:
    person = staff.ben.identity
    for actor in (staff.ben.actor, staff.ana.actor):
        session = start_session(
            idles=True, whence=Whence("192.0.2.7"), issued_at=now, actor=staff.ben.actor, now=now
        )
        end_all_sessions(person=person.pk, reason="a laptop is gone", actor=actor, now=now)
        session.refresh_from_db()
        assert (session.ended_at, session.ended_why) == (now, "all_ended")
    assert SignedOutSubject.objects.get().subject == person.access_subject
