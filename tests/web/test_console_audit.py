"""The audit screens …"""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from core import audit, clock
from core.audit import verifier as offline
from core.audit.models import AuditEvent
from tests.actions.test_core_audit_sealing import Event, do, seal_all
from tests.doors import at_console, open_doors
from tests.exchange import stock
from tests.notaries import soft_log
from tests.officers import Staff, enrol

ORIGIN = "countersign/test/audit"


@pytest.fixture
def own(real_database: str, settings: Any, monkeypatch: pytest.MonkeyPatch, now: datetime) -> Staff:
    open_doors(settings, monkeypatch)
    return enrol(now=now)


LIES = (
    '{"action":"a","at":"2026-01-01T00:00:00Z"}',
    '{"action":7,"actor":{"kind":[],"label":{}},"at":5,"target":{}}',
    r'{"action":"\ud800","actor":{"label":"\ud800"},"at":"2026-01-01T00:00:00Z"}',
    '{"action":"a","actor":{},"after":{"fields":[{}],"person":"\\u0000"},"at":"0001-01-01T00:00:00+14:00"}',
)
"""What a stranger to the application could write as an event."""


def dot(own: Staff) -> Client:
    return at_console(own.dot.identity)


def test_say_who_read_what_of_whom(own: Staff, now: datetime) -> None:
    for person in ("tom", "tia"):
        audit.record_read(
            Event.DONE,
            "case/1",
            of=f"customers.customer/{person}",
            actor=own.ana.actor,
            now=now,
            fields=["dob"],
        )
    page = dot(own).get("/audit/reads/", {"person": "customers.customer/tom"}).content.decode()
    assert "Ana" in page
    assert "dob" in page
    assert page.count("customers.customer/tia") == 0
    assert "Nobody read anything" in dot(own).get("/audit/reads/", {"actor": "Ben"}).content.decode()


def test_show_what_lies(own: Staff, now: datetime, tmp_path: Path) -> None:
    rows = [AuditEvent.texts.create(canon=text) for text in ("no json", *LIES)]
    seal = soft_log(tmp_path, origin=ORIGIN)[1]
    for _ in range(2):
        assert dot(own).get("/audit/").status_code == dot(own).get("/audit/reads/").status_code == 200
        assert {dot(own).get(f"/audit/{row.pk}/").status_code for row in rows} == {200}
        seal_all(seal, now=now)
    page = dot(own).get("/audit/seals/").content.decode()
    assert "Events that the application did not write" in page
    assert "No witness has cosigned anything yet" in page
    assert dot(own).get(f"/audit/{AuditEvent.texts.get(canon='no json').pk}/").status_code == 200


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


def test_say_so_where_the_vault_is_silent(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_doors(settings, monkeypatch)
    exchange = stock(clock.now())
    settings.VAULT_SOCKET = tmp_path / "gone.sock"
    answer = at_console(exchange.staff.ana.identity).post(f"/identity/{exchange.case.pk}/evidence")
    assert answer.status_code == 503
    assert "Nothing was opened: the vault does not answer" in answer.content.decode()
