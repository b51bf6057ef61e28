"""Whoever reads a person's data …"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import transaction
from django.urls import URLPattern, reverse

from backoffice.console.urls import urlpatterns
from core import audit, clock
from core.access.models import Identity
from core.action import action
from core.actor import Actor, system
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from kyc import vault
from kyc.actions import open_case
from kyc.domain.cases import Kind
from kyc.events import Event
from kyc.models import KycProfile
from tests.doors import at_console
from tests.exchange import Exchange
from tests.permissions.test_console_matrix import CONSOLE, ROWS
from tests.traders import Api, enrol
from tests.treasury import customer_actor
from trader_api.urls import OWN
from trader_api.urls import urlpatterns as traders_urls

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/personal-data.md"
READS: Final = set(re.findall(r"^\| `([a-z_]+)` \| .* \| `([a-z_.]+)` \|$", PAGE.read_text(), re.MULTILINE))
NAME, MAIL, ADDRESS = "Zebedee Quux", "zq@marked.example", "203.0.113.77"
PAPER, NOTE = "Z-passport-77", "the Z-selfie is blurred"
LABEL, COLLEAGUE, EDGE = "Tom's home", "una@countersign.example", "edge-subject-of-una"
MARKS: Final = (NAME, MAIL, ADDRESS, PAPER, NOTE, LABEL, COLLEAGUE, EDGE)
UNMARKED: Final = {"case", "close_case", "propose_tier"}
"""What shows data that is no text of the person's own, and so cannot be marked."""


@pytest.fixture
def marked(exchange: Exchange) -> Exchange:
    """Whatever the customer and a colleague have of their own says so."""
    tom, now = exchange.treasury.tom, exchange.treasury.now
    Identity.objects.filter(pk=tom.pk).update(display_name=NAME, email=MAIL)
    _hand_in_papers(profile=exchange.case.profile, actor=replace(customer_actor(tom), ip=ADDRESS), now=now)
    return exchange


@action(Event.SNAPSHOT_APPLIED)
def _hand_in_papers(*, profile: KycProfile, actor: Actor, now: Any) -> None:
    plain = f'{{"passport":"{PAPER}"}}'.encode()
    profile.person = vault.seal_for(profile.customer_id, plain, place=vault.Place.PERSON, row=profile.pk)
    profile.save()
    open_case(profile_id=profile.pk, kind=Kind.FRAUD, reason=NOTE, actor=system("test"), now=now)
    audit.record(Event.SNAPSHOT_APPLIED, profile, actor=actor, now=now)


def found_in(body: bytes) -> set[str]:
    """The marks in an answer, also inside what it carries in base64."""
    text = html.unescape(body.decode(errors="replace"))
    for run in re.findall(r"[A-Za-z0-9_-]{40,}", text):
        text += base64.urlsafe_b64decode(run[: len(run) // 4 * 4]).decode(errors="replace")
    return {mark for mark in MARKS if mark in text}


def reads_after(last: int) -> Iterator[Mapping[str, Any]]:
    for row in AuditEvent.objects.filter(id__gt=last, act=None).order_by("pk"):
        if "fields" in (row.doc["after"] or {}):
            yield row.doc


def addresses(exchange: Exchange, pattern: URLPattern) -> Iterator[str]:
    """Where the URL leads: to every request and to an event of each action, else to one row of its kind."""
    names = list(pattern.pattern.converters)
    many: dict[str, list[Any]] = {
        "request_id": list(ApprovalRequest.objects.values_list("pk", flat=True)),
        "event_id": list({row.doc["action"]: row.id for row in AuditEvent.texts.all()}.values()),
    }
    values = many[names[0]] if names[:1] in (["request_id"], ["event_id"]) else [None]
    for value in values:
        kwargs = {name: value or exchange.row(name) for name in names}
        yield reverse(pattern.name, urlconf=CONSOLE, kwargs=kwargs)


def test_is_on_record_at_every_url_of_the_console_that_shows_any(marked: Exchange) -> None:
    for holder in {marked.holder(permission) for permission, _ in ROWS.values()}:
        at_console(holder).enter()
    shown: dict[tuple[str, str], set[str]] = {}
    for pattern in urlpatterns:
        name = str(pattern.name)
        permission, method = ROWS[name]
        for address in list(addresses(marked, pattern)):
            point = transaction.savepoint()
            last = AuditEvent.texts.order_by("-pk")[0].id
            answer = at_console(marked.holder(permission)).generic(method, address)
            body = b"".join(answer) if answer.streaming else answer.content
            marks, events = found_in(body), list(reads_after(last))
            assert events or not marks, f"{name} shows {marks}, and nobody is said to have read it"
            for event in events:
                shown.setdefault((name, event["action"]), set()).update(marks)
            transaction.savepoint_rollback(point)
    assert shown.keys() == READS, "docs/personal-data.md says something else"
    assert {name for (name, _), marks in shown.items() if not marks} == UNMARKED


def test_is_on_record_once_however_long_the_page_stays_open(marked: Exchange) -> None:
    client = at_console(marked.holder("custody:withdrawal:read"))
    client.enter()
    for address in (f"/withdrawals/{marked.held.pk}/", f"/approvals/{marked.request.pk}/"):
        last = AuditEvent.texts.order_by("-pk")[0].id
        page = client.get(address).content.decode()
        asks = re.findall(r'hx-get="([^"]+)"', page)
        for ask in asks:
            for _ in range(3):
                polled = client.get(ask).content
                assert b'id="standing"' in polled or b'id="pulse"' in polled or b"<nav" in polled
                assert not found_in(polled)
        assert any(ask.startswith(address) for ask in asks)
        assert len(list(reads_after(last))) == 1


def test_is_never_another_trader(marked: Exchange) -> None:
    tia, now = Api(enrol("Tia", now=clock.now())), AuditEvent.texts.order_by("-pk")[0].id
    for pattern in traders_urls:
        route = str(pattern.pattern)
        if route.startswith(("api/v5", OWN)):
            answer = tia.get(f"/{route}?instId=BTC-USDT&instType=SPOT&ccy=BTC")
            assert not found_in(answer.content), route
    assert not list(reads_after(now))
