"""An alert about an emergency …"""

from __future__ import annotations

import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core import clock, outbox
from core.action import action
from core.actor import Actor, system
from core.audit.models import AuditEvent
from core.factors.actions import end_glass
from core.factors.adapters import channels
from core.factors.events import Event, OfficerTold, OutsideTold
from core.factors.models import HandedOver
from core.health import probes
from core.outbox import delivery
from core.outbox.models import Delivery
from core.staff.actions import propose_change
from core.staff.domain import changes
from tests.actions.test_factors_glass import broken
from tests.officers import Staff

pytestmark = pytest.mark.django_db

SECRET = "shared with whoever watches"


class MailServer(socketserver.ThreadingTCPServer):
    """A small SMTP server: it keeps what it takes, and says no as often as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.refusals = 0
        super().__init__(("127.0.0.1", 0), MailHandler)


class MailHandler(socketserver.StreamRequestHandler):
    server: MailServer

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self) -> None:
        self.say("220 mail")
        to = ""
        for line in self.rfile:
            verb = line.split()[0].upper()
            if verb == b"RCPT":
                to = line.decode().partition("<")[2].partition(">")[0]
            if verb == b"RCPT" and self.server.refusals:
                self.server.refusals -= 1
                self.say("451 later")
            elif verb == b"DATA":
                self.say("354 go on")
                body = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.taken.append((to, message_from_bytes(body, policy=policy.default)))
                self.say("250 taken")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class Hook(HTTPServer):
    """A receiver of webhooks that answers with the statuses it is given, then with 204."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", 0), HookHandler)


class HookHandler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.server.taken.append((self.headers["Countersign-Signature"], body))
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        pass


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    with serving(MailServer()) as server:
        settings.ALERT_SMTP_URL = f"smtp://127.0.0.1:{server.server_address[1]}"
        settings.ALERT_FROM = "alerts@countersign.example"
        yield server


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    with serving(Hook()) as server:
        settings.ALERT_WEBHOOK_URL = f"http://127.0.0.1:{server.server_port}/alerts"
        settings.ALERT_WEBHOOK_SECRET = SECRET
        yield server


def deliver(subscriber: str) -> list[bool]:
    """What a worker does with everything that waits, in the order in which it was said."""
    rows = Delivery.objects.filter(subscriber=subscriber, done_at=None).order_by("message__created_at", "id")
    return [delivery.deliver(pk, now=clock.now()) for pk in rows.values_list("pk", flat=True)]


def handed_over() -> list[dict[str, Any]]:
    docs = [event.doc for event in AuditEvent.objects.order_by("id")]
    return [doc["after"] for doc in docs if doc["action"] == "factors.alert.handed_over"]


def test_reaches_every_officer_by_mail_once_though_the_server_says_no_at_first(
    staff: Staff, mail: MailServer
) -> None:
    broken(staff)
    mail.refusals = 2
    first = deliver("factors.mail")
    assert (len(first), first.count(False)) == (12, 2), "six officers, of the asking and the opening"
    assert deliver("factors.mail") == [True, True]
    officers = {one.identity.email for one in (staff.ana, staff.ben, staff.cy, staff.dot, staff.eve)}
    opened = [(to, message) for to, message in mail.taken if "The glass is broken" in message["Subject"]]
    assert len(opened) == len({to for to, _ in opened}) == 6
    assert officers <= {to for to, _ in opened}
    assert "By: Dot Duarte and Ana Abelsen" in opened[0][1].get_content()
    assert len({message["Message-ID"] for _, message in mail.taken}) == 12
    # A worker that died after the server took the mail finds it written down, and sends none again.
    Delivery.objects.filter(subscriber="factors.mail").update(done_at=None)
    assert deliver("factors.mail") == [True] * 12
    assert len(mail.taken) == 12
    proofs = handed_over()
    assert [proof["channel"] for proof in proofs] == ["mail"] * 12
    assert {proof["receipt"] for proof in proofs} == {message["Message-ID"] for _, message in mail.taken}


def test_reaches_the_webhook_signed_and_a_redirection_is_no_yes(staff: Staff, hook: Hook) -> None:
    row = broken(staff)
    hook.answers = [500, 302]
    assert deliver("factors.webhook") == [False, False]
    assert handed_over() == []
    assert deliver("factors.webhook") == [True, True]
    assert deliver("factors.webhook") == []
    bodies = [json.loads(body) for _, body in hook.taken]
    assert [body["what"] for body in bodies] == ["asked", "opened", "asked", "opened"]
    assert bodies[0] == bodies[2]
    assert bodies[0]["id"] != bodies[1]["id"]
    assert (bodies[3]["people"], bodies[3]["glass"]) == (["Dot Duarte", "Ana Abelsen"], str(row.pk))
    for header, body in hook.taken:
        at, _, mac = header.removeprefix("t=").partition(",v1=")
        assert mac == hmac.new(SECRET.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert [(proof["channel"], proof["receipt"]) for proof in handed_over()] == [("webhook", "HTTP 204")] * 2


def test_that_nobody_takes_is_seen_and_one_that_was_taken_is_not_forgotten(
    staff: Staff, hook: Hook, settings: Any
) -> None:
    row = broken(staff)
    end_glass(glass_id=row.pk, actor=staff.ben.actor, now=clock.now())
    settings.ALERT_WEBHOOK_SECRET = ""
    assert deliver("factors.webhook") == [False] * 3
    assert not hook.taken
    assert "nobody could tell" in Delivery.objects.filter(subscriber="factors.webhook")[0].error
    assert all(deliver("factors.mail")), "no mail server is set, and so nobody waits for one"
    reading = probes.read("break-glass", now=clock.now() + timedelta(minutes=2))
    assert (reading.status, reading.facts["waiting"]) == ("degraded", 3)
    settings.ALERT_WEBHOOK_SECRET = SECRET
    assert deliver("factors.webhook") == [True] * 3
    for change in ("UPDATE factors_handed_over SET receipt = ''", "DELETE FROM factors_handed_over"):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(change)
    assert HandedOver.objects.count() == 3


def test_holds_no_worker_where_the_other_side_answers_a_byte_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A time-out of a socket begins anew at each byte: break glass would wait behind it with every worker."""
    monkeypatch.setattr(channels, "WITHIN_S", 0.3)
    over = threading.Event()

    class Dripping(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while not over.wait(0.05):
                with suppress(OSError):
                    self.request.sendall(b"2")

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping)) as server:
        host = f"127.0.0.1:{server.server_address[1]}"
        with pytest.raises(channels.NotTaken, match="was not through with it"):
            channels.webhook(url=f"http://{host}/alerts", body=b"{}", signed="")
        with pytest.raises(channels.NotTaken, match="was not through with it"):
            channels.mail(
                url=f"smtp://{host}", sender="a@b.example", to="c@d.example", subject="", text="", id_=uuid4()
            )
        over.set()


@pytest.mark.usefixtures("staff")
def test_that_could_reach_nobody_is_said_beforehand_where_one_is_expected(settings: Any) -> None:
    told = {}
    for settings.ALERTS_EXPECTED in (False, True):
        reading = probes.read("break-glass", now=clock.now())
        told[settings.ALERTS_EXPECTED] = (reading.status, "Nobody outside" in reading.sentence)
    settings.ALERT_WEBHOOK_URL = "https://alerts.example/"
    assert told == {False: ("up", False), True: ("degraded", True)}
    assert probes.read("break-glass", now=clock.now()).status == "up"


def test_about_something_else_goes_the_same_ways_and_is_written_down(
    staff: Staff, mail: MailServer, hook: Hook
) -> None:
    told = {"notice": "registry/ab", "subject": "Another registry", "text": "Look.\n"}

    @action(Event.ALERT_HANDED_OVER)
    def tell(*, actor: Actor, now: datetime) -> None:
        outbox.publish(OfficerTold(identity=str(staff.ben.identity.pk), **told), now=now)
        outbox.publish(OutsideTold(at=now.isoformat(timespec="seconds"), **told), now=now)

    tell(actor=system("alerts"), now=clock.now())
    hook.answers = [500]
    assert deliver("factors.mail_notice") == [True]
    assert [deliver("factors.webhook_notice") for _ in range(2)] == [[False], [True]]
    ((to, message),) = mail.taken
    assert (to, message["Subject"]) == (staff.ben.identity.email, "[test] Another registry")
    first, second = (json.loads(body) for _, body in hook.taken)
    assert first == second
    assert (first["type"], first["subject"], first["text"]) == ("notice", "Another registry", "Look.\n")
    assert [proof["channel"] for proof in handed_over()] == ["mail", "webhook"]


def test_of_a_way_back_from_a_lost_role_is_handed_over_as_well(
    staff: Staff, mail: MailServer, hook: Hook
) -> None:
    """Nobody is a senior officer here, so nobody is left to grant what Ben is."""
    change = changes.Rebind(staff.ben.identity.pk, "another subject")
    asked = propose_change(change=change, reason="lost", actor=staff.sam.actor, now=clock.now())
    assert deliver("factors.mail_way_back") == [True] * 6
    assert deliver("factors.webhook_way_back") == [True]
    assert {to for to, _ in mail.taken} >= {staff.ana.identity.email, staff.ben.identity.email}
    ((_, body),) = hook.taken
    told = json.loads(body)
    assert (told["type"], told["notice"]) == ("notice", f"way_back/{asked.pk}")
    assert f"/approvals/{asked.pk}/" in told["text"]
