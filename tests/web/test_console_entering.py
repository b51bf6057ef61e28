"""Whoever comes to the console with a token of the edge alone …"""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from backoffice.console.urls import urlpatterns
from core import clock
from core.access.requirement import permission_of
from core.audit.models import AuditEvent
from core.factors.models import Challenge, Code, Passkey
from core.staff.actions import suspend_person
from tests import doors
from tests.doors import at_console, confirmation
from tests.officers import Staff, enrol, sealed_key

CONSOLE = "backoffice.console.urls"
BEFORE = {
    "enter",
    "authenticators",
    "begin_code",
    "propose_code",
    "begin_passkey",
    "propose_passkey",
    "emergencies",
    "ask_glass",
    "second_glass",
    "end_glass",
}
"""All that opens before a session is entered."""


@pytest.fixture
def staff(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Staff:
    doors.open_doors(settings, monkeypatch)
    return enrol(now=clock.now())


def outsider(staff: Staff) -> Any:
    client = at_console(staff.ana.identity, confirms=False)
    client.enters = False
    return client


def enters(client: Any, answer: dict[str, str], page: str = "/enter") -> Any:
    form = confirmation(client.post("/enter", {"next": "/staff/"}).content.decode())
    assert form is not None
    return client.post(page, {**form.fields, **answer})


def test_meets_nothing_but_the_entrance(staff: Staff) -> None:
    client, before = outsider(staff), AuditEvent.objects.count()
    for pattern in urlpatterns:
        if pattern.pattern.converters or permission_of(pattern.callback) == "audit:event:read":
            continue
        address, name = reverse(pattern.name, urlconf=CONSOLE), pattern.name
        if client.get(address).status_code == 403 or name in BEFORE:
            continue
        answer = client.get(address)
        answer = client.post(address) if answer.status_code == 405 else answer
        assert (name, answer.status_code) == (name, 401)
        assert b"Start your session" in answer.content
        assert b'class="side"' not in answer.content
    events = AuditEvent.objects.order_by("id")[before:]
    assert {event.doc["action"] for event in events} <= {"access.view.refused"}
    assert not Challenge.objects.exists(), "looking begins nothing"


def test_sees_no_counts_and_no_freezes_on_the_pages_that_open(staff: Staff) -> None:
    client = outsider(staff)
    client_inside = at_console(staff.ana.identity, fresh=True)
    client_inside.post("/freezes/pull", {"scope": "asset:BTC", "reason": "a leak"})
    for page in ("/authenticators/", "/emergencies/"):
        shown = client.get(page)
        assert shown.status_code == 200
        assert b"Frozen: asset:BTC" not in shown.content
        assert b"/withdrawals/" not in shown.content


def test_is_in_after_a_ceremony_and_goes_where_they_were_going(staff: Staff) -> None:
    client = outsider(staff)
    assert client.get("/staff/").status_code == 401
    form = confirmation(client.post("/enter", {"next": "/staff/"}).content.decode())
    assert form is not None
    outer = client.cookies["session"].value
    answer = client.post(form.address, {**form.fields, **form.touched(staff.ana.key)})
    assert (answer.status_code, answer["Location"]) == (302, "/staff/")
    assert client.get("/staff/").status_code == 200
    assert client.cookies["session"].value != outer, "the session has a new name"
    other = outsider(staff)
    other.cookies["session"] = outer
    assert other.get("/staff/").status_code == 401


def test_is_in_by_a_code_as_well_but_not_by_anothers_key_or_a_key_from_a_safe(staff: Staff) -> None:
    client = outsider(staff)
    for key in (staff.ben.key, sealed_key("upstairs")):
        form = confirmation(client.post("/enter", {"next": "/"}).content.decode())
        assert form is not None
        assert client.post(form.address, {**form.fields, **form.touched(key)}).status_code == 401
        assert client.get("/").status_code == 401
    assert enters(client, {"stepup_code": staff.ana.app.code(clock.now().timestamp())}).status_code == 302
    assert client.get("/").status_code == 200


def test_is_sent_nowhere_else(staff: Staff) -> None:
    client = outsider(staff)
    for place in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "evil"):
        form = confirmation(client.post("/enter", {"next": place}).content.decode())
        assert form is not None
        answer = client.post(form.address, {**form.fields, **form.touched(staff.ana.key)})
        assert (answer.status_code, answer["Location"]) == (302, "/")


def test_cannot_use_anothers_session(staff: Staff) -> None:
    ana = at_console(staff.ana.identity)
    assert ana.get("/").status_code == 200
    thief = at_console(staff.ben.identity, confirms=False, fresh=True)
    thief.enters = False
    thief.cookies["session"] = ana.cookies["session"].value
    assert thief.get("/").status_code == 401


def test_is_out_again_when_they_leave_lose_the_key_or_are_suspended(staff: Staff) -> None:
    client = at_console(staff.ana.identity)
    assert client.get("/").status_code == 200
    client.enters = False
    assert client.post("/leave").status_code == 302
    assert client.get("/").status_code == 401
    client.enters = True
    client.enter()
    client.enters = False
    mine = Passkey.objects.get(user=staff.ana.identity, sealed=False)
    at_console(staff.sam.identity).post(
        f"/staff/{staff.ana.identity.pk}/authenticators/{mine.pk}/take", {"reason": "a taxi"}
    )
    assert client.get("/").status_code == 401
    assert enters(client, {"stepup_code": staff.ana.app.code(clock.now().timestamp())}).status_code == 302
    assert client.get("/").status_code == 200
    suspend_person(person=staff.ana.identity.pk, reason="x", actor=staff.ben.actor, now=clock.now())
    assert client.get("/").status_code == 403


def test_finds_the_way_to_register_when_they_have_nothing(staff: Staff) -> None:
    client = outsider(staff)
    for model in (Passkey, Code):
        for row in model.objects.filter(user=staff.ana.identity).exclude(name__startswith="safe"):
            at_console(staff.sam.identity).post(
                f"/staff/{staff.ana.identity.pk}/authenticators/{row.pk}/take", {"reason": "a fire"}
            )
    page = client.get("/").content
    assert b"You have none yet." in page
    assert b'id="enter"' not in page
    shown = client.post("/authenticators/code", {"label": "telephone"})
    assert shown.status_code == 200
    assert b"Put this secret into your app" in shown.content
    assert Code.objects.get(name="telephone").state == "draft"
    assert client.get("/").status_code == 401
