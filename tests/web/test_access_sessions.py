"""A session at the console …"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from backoffice.console.urls import urlpatterns
from core import clock, endings
from core.access.adapters.identities import AGAIN_S
from core.access.domain.sessions import ABSOLUTE, CLOCKS_APART_MAX, IDLE, Why, timed_out
from core.access.models import OfficerSession, RoleGrant, SignedOutSubject
from core.audit.models import AuditEvent
from core.factors.models import Passkey
from core.freezes.models import Freeze
from core.staff.actions import suspend_person
from core.staff.domain import changes
from tests import doors
from tests.actions.test_staff_changes import carry
from tests.doors import at_console
from tests.officers import Staff
from tests.web.test_console_entering import BEFORE, CONSOLE


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
    ended = ana.post("/session/end-all")
    assert (ended.status_code, ended["Refresh"]) == (200, "0; url=/cdn-cgi/access/logout")
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


def test_ends_at_once_when_its_officer_leaves_and_does_not_come_back_with_them(staff: Staff) -> None:
    dot = inside(staff.dot.identity)
    kept = dot.cookies["session"].value
    carry(staff, changes.Leave(staff.dot.identity.pk), clock.now())
    row = OfficerSession.objects.get(officer=staff.dot.identity)
    assert (row.ended_why, row.ended_at is None) == ("suspended", False)
    refused = dot.get("/")
    assert (refused.status_code, b"access.suspended" in refused.content) == (403, True)
    carry(staff, changes.Restore(staff.dot.identity.pk), clock.now())
    carry(staff, changes.GrantRole(staff.dot.identity.pk, "auditor"), clock.now())
    dot.cookies["session"] = kept
    assert dot.get("/").status_code == 401


def test_ends_at_once_when_its_officer_is_bound_to_another_account(staff: Staff) -> None:
    dot = inside(staff.dot.identity)
    carry(staff, changes.Rebind(staff.dot.identity.pk, "sub-dot-2"), clock.now())
    row = OfficerSession.objects.get(officer=staff.dot.identity)
    assert (row.ended_why, row.ended_at is None) == ("rebound", False)
    assert dot.get("/").status_code == 403, "the token is of the account before"


def test_is_over_at_its_limits_and_not_before(now: datetime) -> None:
    second = timedelta(seconds=1)
    young, fresh = now - ABSOLUTE + second, now - IDLE + second
    assert timed_out(started=young, seen=fresh, idles=True, now=now) is None
    assert timed_out(started=young, seen=now - IDLE, idles=True, now=now) is Why.IDLE
    assert timed_out(started=young, seen=now - IDLE, idles=False, now=now) is None, "the glass is broken"
    assert timed_out(started=now - ABSOLUTE, seen=now, idles=False, now=now) is Why.ABSOLUTE


def test_is_over_where_a_clock_that_was_ahead_began_it_or_saw_it(now: datetime) -> None:
    apart, second = CLOCKS_APART_MAX, timedelta(seconds=1)
    assert timed_out(started=now + apart, seen=now + apart, idles=True, now=now) is None
    assert timed_out(started=now + apart + second, seen=now, idles=False, now=now) is Why.ABSOLUTE
    assert timed_out(started=now, seen=now + apart + second, idles=True, now=now) is Why.IDLE


def at(client: Any, ip: str, country: str = "DE", **headers: str) -> Any:
    """The same browser, somewhere else from now on."""
    client.defaults |= {"HTTP_CF_CONNECTING_IP": ip, "HTTP_CF_IPCOUNTRY": country, **headers}
    return client


PULL = {"scope": "asset:BTC", "reason": "a leak"}


@pytest.mark.parametrize(
    "elsewhere",
    [
        ("198.51.100.7", "DE", {}),
        ("203.0.113.7", "FR", {}),
        ("203.0.113.7", "DE", {"HTTP_X_CLIENT_ASN": "64501"}),
    ],
    ids=["address", "country", "asn"],
)
def test_on_another_network_reads_on_and_does_nothing_until_it_is_entered_again(
    staff: Staff, settings: Any, elsewhere: tuple[str, str, dict[str, str]]
) -> None:
    settings.ASN_HEADER = "X-Client-Asn"
    ana = at(at_console(staff.ana.identity, fresh=True), "203.0.113.7", HTTP_X_CLIENT_ASN="64500")
    assert ana.get("/").status_code == 200
    ana.enters, asked = False, doors.edge.asked
    ip, country, headers = elsewhere
    at(ana, ip, country, **{"HTTP_X_CLIENT_ASN": "", **headers})
    read = ana.get("/")
    assert (read.status_code, b"Your network or device has changed" in read.content) == (200, True)
    event = last()
    assert (event["action"], event["before"]["ip"]) == ("access.session.moved", "203.0.113.7")
    assert (event["after"]["ip"], event["after"]["country"]) == (ip, country)
    count = AuditEvent.objects.count()
    refused = ana.post("/freezes/pull", PULL)
    assert (refused.status_code, b"show again that it is you" in refused.content) == (401, True)
    assert not Freeze.objects.exists()
    at(ana, "203.0.113.7", HTTP_X_CLIENT_ASN="64500")
    assert ana.post("/freezes/pull", PULL).status_code == 401, "to come back is no proof"
    assert AuditEvent.objects.count() == count, "it is written down once"
    doors.clock.moment += AGAIN_S
    ana.enters = True
    assert ana.post("/freezes/pull", PULL).status_code == 302
    assert doors.edge.asked > asked, "the edge was asked anew"
    assert OfficerSession.objects.get(ended_at=None).moved_at is None


def test_on_another_network_is_not_entered_again_without_the_edges_word(staff: Staff) -> None:
    ana = at(inside(staff.ana.identity), "198.51.100.7")

    def silent() -> bytes:
        raise OSError("the edge is away")

    doors.edge.fault = silent
    doors.clock.moment += AGAIN_S
    assert ana.get("/").status_code == 200
    ana.confirms = False
    form = doors.confirmation(ana.post("/enter", {"next": "/"}).content.decode())
    assert form is not None
    refused = ana.post(form.address, {**form.fields, **form.touched(staff.ana.key)})
    assert (refused.status_code, b"session.edge_silent" in refused.content) == (403, True)
    assert ana.post("/freezes/pull", PULL).status_code == 401
    assert ana.post("/leave").status_code == 302


def test_on_another_network_does_nothing_at_all_but_end(staff: Staff, subtests: pytest.Subtests) -> None:
    ana = at(inside(staff.ana.identity), "198.51.100.7")
    assert ana.get("/").status_code == 200
    before_entering = {"enter", *BEFORE}
    for pattern in urlpatterns:
        if pattern.pattern.converters or pattern.name in before_entering | {"leave", "end_all_sessions"}:
            continue
        with subtests.test(pattern.name):
            answer = ana.post(reverse(pattern.name, urlconf=CONSOLE), PULL)
            assert answer.status_code in (401, 403, 405)
            assert answer.status_code != 401 or b"console.moved" in answer.content
    assert ana.post("/session/end-all").status_code == 200


@pytest.mark.parametrize("what", ["session", "authenticator", "role"])
def test_that_ends_while_something_is_under_way_in_it_lets_that_not_happen(
    staff: Staff, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The request was let in, and waits for whoever ends what it rests on."""
    ana, hold = inside(staff.ana.identity), endings.hold

    def ended_first(actor: Any, about: Any, *, now: Any) -> Any:
        if what == "session":
            OfficerSession.objects.update(ended_at=now, ended_why=Why.ALL_ENDED)
        elif what == "authenticator":
            Passkey.objects.filter(user=staff.ana.identity).update(state="ended", ended_at=now)
        else:
            RoleGrant.objects.filter(identity=staff.ana.identity).update(revoked_at=now)
        return hold(actor, about, now=now)

    monkeypatch.setattr(endings, "hold", ended_first)
    answer = ana.post("/freezes/pull", PULL)
    assert (answer.status_code, Freeze.objects.exists()) == (403, False)
    assert last()["after"]["code"] == "access.right_ended"


def test_on_another_device_is_entered_again(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = inside(staff.ana.identity)
    assert OfficerSession.objects.get(ended_at=None).device == "laptop-of-ana"
    OfficerSession.objects.update(device="laptop-of-before")
    assert ana.get("/").status_code == 200
    assert last()["action"] == "access.session.moved"
    assert ana.post("/freezes/pull", PULL).status_code == 401


def test_within_its_network_goes_on(staff: Staff) -> None:
    ana = at(at_console(staff.ana.identity, fresh=True), "203.0.113.7")
    assert ana.get("/").status_code == 200
    ana.enters = False
    assert OfficerSession.objects.get().country == "DE"
    assert at(ana, "203.0.113.99").post("/freezes/pull", PULL).status_code == 302
