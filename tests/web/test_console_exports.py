"""The audit screens, asked for an export …"""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from backoffice.asgi import console
from backoffice.console.views import audit
from core import clock
from core.access.actions.sessions import end_all_sessions
from core.access.doors import ASSERTION
from core.access.postures import ACT_S
from core.audit import verifier as offline
from core.audit.models import AuditEvent
from core.staff.actions import suspend_person
from core.staff.domain import changes
from tests.actions.test_core_audit_sealing import do, seal_all
from tests.actions.test_staff_changes import carry
from tests.doors import CONSOLE, Browser, at_console, confirmation, console_key, edge, open_doors, token
from tests.doors import clock as wall
from tests.notaries import soft_log
from tests.officers import Staff, enrol

ORIGIN = "countersign/test/audit"


@pytest.fixture
def own(real_database: str, settings: Any, monkeypatch: pytest.MonkeyPatch, now: datetime) -> Staff:
    open_doors(settings, monkeypatch)
    return enrol(now=now)


def dot(own: Staff) -> Browser:
    return at_console(own.dot.identity)


def test_stream_an_export_that_the_verifier_takes_and_that_is_on_record(
    own: Staff, now: datetime, tmp_path: Path, settings: Any
) -> None:
    settings.AUDIT_KEY_FILE, settings.AUDIT_ORIGIN = tmp_path / "key.txt", ORIGIN
    do(count=700, actor=own.ana.actor, now=now)
    seal_all(soft_log(tmp_path, origin=ORIGIN)[1], now=now)
    asked = {"form": "jsonl", "reason": "yearly audit", "since": "", "until": ""}
    assert dot(own).post("/audit/export", {**asked, "reason": " "}).status_code == 400
    assert dot(own).post("/audit/export", {**asked, "since": "then"}).status_code == 400
    assert dot(own).post("/audit/export", {**asked, "form": "xls"}).status_code == 400
    answer = dot(own).post("/audit/export", asked)
    assert (answer.status_code, answer.streaming) == (200, True)
    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
        archive.extractall(tmp_path / "out")
    out = tmp_path / "out"
    files = [str(out / "events.jsonl"), "--checkpoints", str(out / "checkpoints.txt")]
    assert offline.main([*files, "--key", str(out / "key.txt")]) == 0
    event = AuditEvent.objects.filter(doc__action="audit.exported").get().doc
    assert (event["actor"]["label"], event["reason"]) == (own.dot.identity.display_name, "yearly audit")
    lines = dot(own).post("/audit/export", {**asked, "form": "ocsf"}).getvalue().splitlines()
    assert len(lines) >= 700


@pytest.mark.parametrize("how", ["suspended", "signed out", "role ended"])
def test_stop_in_the_middle_of_an_export_for_whoever_may_no_longer_take_it(
    own: Staff, now: datetime, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its events are read while it goes on its way, so a long one would reach far behind a suspension. It
    does not go on to a device either that is not good enough any more.
    """
    monkeypatch.setattr(audit, "LOOK_EVERY_S", 0.0)
    settings.AUDIT_KEY_FILE, settings.AUDIT_ORIGIN = tmp_path / "key.txt", ORIGIN
    do(count=60, actor=own.ana.actor, now=now)
    seal_all(soft_log(tmp_path, origin=ORIGIN)[1], now=now)
    asked = {"form": "ocsf", "reason": "everything", "since": "", "until": ""}
    pieces = iter(dot(own).post("/audit/export", asked).streaming_content)
    assert json.loads(next(pieces)), "it has begun"
    edge.says(own.dot.identity, managed=False)
    wall.moment += ACT_S + 1
    with pytest.raises(audit.BrokenOff):
        next(pieces)
    last = AuditEvent.objects.order_by("-id")[0].doc
    assert (last["action"], last["after"]["lacks"]) == ("access.posture.refused", "posture/managed")
    edge.says(own.dot.identity)
    wall.moment += ACT_S + 1
    pieces = iter(dot(own).post("/audit/export", asked).streaming_content)
    assert json.loads(next(pieces)), "it has begun again"
    person, by = own.dot.identity.pk, {"reason": "leaves with the log", "actor": own.ana.actor}
    if how == "suspended":
        suspend_person(person=person, now=clock.now(), **by)
    elif how == "signed out":
        end_all_sessions(person=person, now=clock.now(), **by)
    else:
        carry(own, changes.EndRole(person, "auditor"), clock.now())
    with pytest.raises(audit.BrokenOff):
        next(pieces)
    last = AuditEvent.objects.order_by("-id")[0].doc
    assert (last["action"], last["after"]) == ("access.view.refused", {"path": "/audit/export"})
    assert last["actor"]["label"] == own.dot.identity.display_name


def test_stream_an_export_event_by_event_to_the_server_in_front(
    own: Staff, now: datetime, tmp_path: Path, settings: Any
) -> None:
    settings.AUDIT_KEY_FILE, settings.AUDIT_ORIGIN = tmp_path / "key.txt", ORIGIN
    do(count=60, actor=own.ana.actor, now=now)
    seal_all(soft_log(tmp_path, origin=ORIGIN)[1], now=now)
    client = dot(own)
    client.get("/audit/seals/")
    day = {"form": "ocsf", "reason": "a look at that day", "since": f"{now:%Y-%m-%dT%H:%M}"}
    day |= {"until": f"{now + timedelta(minutes=1):%Y-%m-%dT%H:%M}"}
    whole = client.post("/audit/export", day).getvalue().splitlines()
    client.confirms = False
    asked = confirmation(client.post("/audit/export", day).content.decode())
    assert asked is not None
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    fields = {**day, **asked.fields, **asked.touched(console_key(own.dot.identity.pk))}
    form = urlencode(
        {**fields, "csrfmiddlewaretoken": cookies[settings.CSRF_COOKIE_NAME]}, doseq=True
    ).encode()
    headers = {
        "Host": CONSOLE,
        ASSERTION: token(own.dot.identity),
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(form)),
    }
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/audit/export", "query_string": b""}
    scope |= {"scheme": "http", "client": ("127.0.0.1", 1)}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    sent = asyncio.run(_asked(scope, form))
    assert sent[0]["status"] == 200
    pieces = [message["body"] for message in sent[1:] if message.get("body")]
    assert pieces == [line + b"\n" for line in whole], "one at a time, and exactly that minute"
    assert len(pieces) >= 60
    assert {json.loads(piece)["time"] for piece in pieces} == {int(now.timestamp() * 1000)}


async def _asked(scope: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    given = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        if given:
            return given.pop()
        return await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    await console(scope, receive, send)  # type: ignore[arg-type]
    await sync_to_async(connections.close_all)()
    return sent
