"""A session at the console …"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core import clock
from core.access.domain.sessions import ABSOLUTE, IDLE, Why, timed_out
from core.access.models import OfficerSession, SignedOutSubject
from core.audit.models import AuditEvent
from core.staff.actions import suspend_person
from tests import doors
from tests.doors import at_console
from tests.officers import Staff


@pytest.fixture(autouse=True)
def _doors(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    doors.open_doors(settings, monkeypatch)


def inside(identity: Any) -> Any:
    """A browser of its own in which the person has entered, and will not enter again by itself."""
    client = at_console(identity, fresh=True)
    assert client.get("/").status_code == 200
    client.enters = False
    return client


def last() -> Any:
    return AuditEvent.objects.order_by("-id")[0].doc


def aged(by: timedelta, *fields: str) -> None:
    """The open session, as if it had begun, or been used last, so long ago."""
    OfficerSession.objects.filter(ended_at=None).update(**dict.fromkeys(fields, clock.now() - by))


def test_is_one_per_officer(staff: Staff) -> None:
    first = inside(staff.ana.identity)
    second = inside(staff.ana.identity)
    led = first.get("/")
    assert (led.status_code, b"started a session elsewhere" in led.content) == (401, True)
    assert second.get("/").status_code == 200
    ended, standing = OfficerSession.objects.order_by("started_at")
    assert (ended.ended_why, standing.ended_at) == ("replaced", None)
    assert last()["action"] == "access.session.started"
    assert last()["before"] == {"replaced": [str(ended.pk)]}


@pytest.mark.parametrize(
    ("fields", "by", "why"), [(["seen_at"], IDLE, "idle"), (["started_at"], ABSOLUTE, "absolute")]
)
def test_ends_by_itself_and_says_so(staff: Staff, fields: list[str], by: timedelta, why: str) -> None:
    ana = inside(staff.ana.identity)
    aged(by - timedelta(seconds=30), *fields)
    assert ana.get("/").status_code == 200
    aged(by, *fields)
    led = ana.get("/")
    assert (led.status_code, b"our session ended" in led.content) == (401, True)
    assert (last()["action"], last()["after"]) == ("access.session.ended", {"why": why})


def test_is_kept_open_by_the_person_and_not_by_a_page_that_polls(staff: Staff) -> None:
    ana = inside(staff.ana.identity)
    aged(timedelta(minutes=10), "seen_at")
    before = OfficerSession.objects.get(ended_at=None).seen_at
    for part in ("/pulse", "/", "/approvals/"):
        assert ana.get(part, headers={"HX-Request": "true"}).status_code == 200
    assert OfficerSession.objects.get(ended_at=None).seen_at == before
    ana.get("/")
    assert OfficerSession.objects.get(ended_at=None).seen_at > before
    aged(IDLE, "seen_at")
    assert ana.get("/pulse", headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_ends_when_the_person_leaves_even_for_whoever_kept_its_cookie(staff: Staff) -> None:
    ana = inside(staff.ana.identity)
    assert b"minutes after your last request" in ana.get("/session/").content
    kept = ana.cookies["session"].value
    assert ana.post("/leave").status_code == 302
    assert (last()["action"], last()["after"]) == ("access.session.ended", {"why": "ended"})
    assert OfficerSession.objects.get().ended_why == "ended"
    ana.cookies["session"] = kept
    assert ana.get("/").status_code == 401


def test_and_all_others_of_a_person_end_with_one_click_tokens_included(staff: Staff) -> None:
    ana = inside(staff.ana.identity)
    assert ana.post("/session/end-all")["Location"] == "/cdn-cgi/access/logout"
    refused = ana.get("/")
    assert (refused.status_code, b"access.signed_out" in refused.content) == (403, True)
    assert OfficerSession.objects.get().ended_why == "all_ended"
    SignedOutSubject.objects.update(tokens_before=clock.now() - timedelta(seconds=2))
    assert inside(staff.ana.identity).get("/").status_code == 200, "a token issued later is another matter"


def test_of_somebody_else_is_ended_by_whoever_may_suspend_and_says_why(staff: Staff) -> None:
    ben, ana = inside(staff.ben.identity), inside(staff.ana.identity)
    page = f"/staff/{staff.ben.identity.pk}/end-sessions"
    assert at_console(staff.dot.identity).post(page, {"reason": "x"}).status_code == 403
    assert ana.post(page).status_code == 422
    assert ben.get("/").status_code == 200
    assert ana.post(page, {"reason": "lost his laptop"}).status_code == 302
    assert ben.get("/").status_code == 403
    assert (last()["action"], last()["after"]["code"]) == ("access.door.refused", "access.signed_out")
    assert b"End all sessions" in ana.get(f"/staff/{staff.ben.identity.pk}/").content


def test_ends_with_the_rights_of_its_officer(staff: Staff, now: datetime) -> None:
    ben = inside(staff.ben.identity)
    suspend_person(person=staff.ben.identity.pk, reason="left", actor=staff.ana.actor, now=now)
    assert ben.get("/").status_code == 403
    assert OfficerSession.objects.get(officer=staff.ben.identity).ended_why == "suspended"


def test_is_over_at_its_limits_and_not_before(now: datetime) -> None:
    second = timedelta(seconds=1)
    young, fresh = now - ABSOLUTE + second, now - IDLE + second
    assert timed_out(started=young, seen=fresh, idles=True, now=now) is None
    assert timed_out(started=young, seen=now - IDLE, idles=True, now=now) is Why.IDLE
    assert timed_out(started=young, seen=now - IDLE, idles=False, now=now) is None, "the glass is broken"
    assert timed_out(started=now - ABSOLUTE, seen=now, idles=False, now=now) is Why.ABSOLUTE
