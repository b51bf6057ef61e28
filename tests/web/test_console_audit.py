"""The audit screens …"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections

from core import audit, clock
from core.audit import cosigning, gaps, probing, queries
from core.audit.domain.reading import GONE
from core.audit.models import AuditCheckpoint, AuditCosignature, AuditEvent
from core.audit.sources import OwnLog
from core.health import Status
from kernel import cosignature, merkle, note
from tests.actions.test_core_audit_sealing import Event, do, seal_all
from tests.auditing import watching
from tests.doors import Browser, at_console, open_doors
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


def dot(own: Staff) -> Browser:
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


def test_show_an_event_with_its_proof_and_how_far_witnesses_are(
    own: Staff, now: datetime, tmp_path: Path, settings: Any
) -> None:
    """What the pages show is all that somebody needs who believes only the log's public key."""
    log, seal = soft_log(tmp_path, origin=ORIGIN)
    settings.AUDIT_KEY_FILE, settings.AUDIT_ORIGIN = tmp_path / "key.txt", ORIGIN
    settings.AUDIT_WITNESSES_FILE = tmp_path / "witnesses.txt"
    do(count=5, actor=own.ana.actor, now=now)
    seal_all(seal, now=now)
    with watching(tmp_path, log) as among:
        assert cosigning.collect(OwnLog(log), among, now=clock.now()) == len(among) == 2
    absent = cosignature.Cosigner("witness.example/3", b"\1" * 32)
    keys = [*(one.cosigner for one in among), absent]
    settings.AUDIT_WITNESSES_FILE.write_text("".join(f"{key} {tmp_path}\n" for key in keys))
    row = AuditEvent.texts.filter(canon__contains="thing/3").get()
    page = unescape(dot(own).get(f"/audit/{row.id}/").content.decode())
    pieces = re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    text = next(one for one in pieces if one.startswith('{"act":"'))
    head = note.Checkpoint.parse(
        note.open_note(next(one for one in pieces if one.startswith(ORIGIN)), by=log)
    )
    place = re.search(r"Leaf (\d+) of the (\d+)", page)
    assert place is not None
    assert int(place[2]) == head.size
    merkle.verify_inclusion(
        [bytes.fromhex(step) for step in re.findall(r"<li><code>([0-9a-f]{64})</code></li>", page)],
        leaf_hash=merkle.leaf(text.encode()),
        index=int(place[1]),
        size=head.size,
        root=head.root,
    )
    seals = unescape(dot(own).get("/audit/seals/").content.decode())
    shown = re.findall(r"<pre[^>]*>(.*?)</pre>", seals, re.DOTALL)[0]
    assert note.Checkpoint.parse(note.open_note(shown, by=log)) == head
    for witness in among:
        assert f"<td>{witness.cosigner.name}</td><td>{head.size}</td>" in seals
    assert re.findall(r'<span class="state"[^>]*>(.*?)</span>', seals) == [
        "seen lately",
        "seen lately",
        "late",
    ]
    reading = probing.read_witnesses(clock.now())
    assert (reading.status, reading.sentence) == (Status.DEGRADED, f"Never seen: {absent.name} on {ORIGIN}.")
    forged = AuditCosignature.objects.filter(witness=among[1].cosigner.name)[0]
    forged.pk, forged.at, forged.size = None, clock.now(), 900
    forged.save()
    forged.pk, forged.line, forged.size = None, forged.line[:-8] + "AAAAAAA=", head.size
    forged.save()
    seals = dot(own).get("/audit/seals/").content.decode()
    rows = seals.split("<tr>")[2:5]
    assert [">late<" in row for row in rows] == [False, False, True]
    assert ["2 later rows it did not sign" in row for row in rows] == [False, True, False]
    reading = probing.read_witnesses(clock.now())
    assert f"<td>{among[1].cosigner.name}</td><td>{head.size}</td>" in seals
    said = f"Rows say that {among[1].cosigner.name} cosigned {ORIGIN}, and it did not."
    assert (reading.status, reading.sentence) == (Status.DOWN, said)


def test_call_a_witness_late_that_dates_its_word_to_come_and_no_log_that_nobody_watches(
    own: Staff, settings: Any, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    by = cosignature.Cosigner("witness.example/1", key.public_key().public_bytes_raw())
    settings.AUDIT_WITNESSES_FILE, settings.AUDIT_ORIGIN = tmp_path / "witnesses.txt", ORIGIN
    settings.AUDIT_WITNESSES_FILE.write_text(f"{by} {tmp_path}\n")
    settings.WATCHED_LOGS_FILE = tmp_path / "watched.txt"
    signer = note.Verifier("countersign/signer", b"\1" * 32)
    settings.WATCHED_LOGS_FILE.write_text(f"{signer} {tmp_path / 'signer.sock'}\n")
    now = clock.now()
    times = {ORIGIN: now, signer.name: now + timedelta(days=1), "countersign/old": now - timedelta(days=1)}
    for log, at in times.items():
        text = note.Checkpoint(log, 1, b"\2" * 32).text()
        line = cosignature.cosign(text, by=by, signer=key.sign, at=int(at.timestamp()))
        signed = text + "\n\N{EM DASH} own AAAA\n"
        AuditCosignature.objects.create(log=log, size=1, witness=by.name, note=signed, line=line, at=at)
    states = {one.log: (one.is_watched, probing.is_late(one, now)) for one in queries.witnessed()}
    assert states == {ORIGIN: (True, False), signer.name: (True, True), "countersign/old": (False, False)}
    assert probing.read_witnesses(now).facts["late"] == 1
    assert "not watched any more" in dot(own).get("/audit/seals/").content.decode()


def test_say_which_event_is_not_the_one_that_was_sealed(
    own: Staff, now: datetime, tmp_path: Path, settings: Any
) -> None:
    settings.AUDIT_KEY_FILE, settings.AUDIT_ORIGIN = tmp_path / "key.txt", ORIGIN
    seal = soft_log(tmp_path, origin=ORIGIN)[1]
    do(count=2, actor=own.ana.actor, now=now)
    seal_all(seal, now=now)
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_rows")
        cursor.execute("UPDATE audit_event SET canon = replace(canon, 'thing/1', 'thing/9')")
    verdicts = {"thing/0": "Computed just now", "thing/9": "This is not the event that was sealed"}
    for target, said in verdicts.items():
        row = AuditEvent.texts.get(canon__contains=target)
        page = dot(own).get(f"/audit/{row.id}/").content.decode()
        assert [verdict for verdict in verdicts.values() if verdict in page] == [said]


@pytest.mark.parametrize(
    ("deleted", "unlisted"),
    [(True, False), (True, True), (False, True)],
    ids=["deleted", "deleted and not listed", "not listed"],
)
def test_say_that_an_event_is_missing_that_was_sealed(
    own: Staff, now: datetime, tmp_path: Path, deleted: bool, unlisted: bool
) -> None:
    """Whoever owns the database takes out one event, and if they know better what it was listed under."""
    seal = soft_log(tmp_path, origin=ORIGIN)[1]
    for count in (2, 3, 1):
        do(count=count, actor=own.ana.actor, now=now)
        seal_all(seal, now=now)
    gone = AuditEvent.texts.get(canon__contains="thing/2")
    heads = AuditCheckpoint.objects.order_by("size")
    first, last = (heads[number].size for number in (heads.count() - 3, heads.count() - 2))
    for asked in ({}, {"target": "thing/2"}):
        assert "Not all that was sealed" not in dot(own).get("/audit/", asked).content.decode()
    with connections["default"].cursor() as cursor:
        for table in ("audit_event", "audit_mention"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_rows")
        if deleted:
            cursor.execute("DELETE FROM audit_event WHERE canon LIKE '%%thing/2%%'")
        if unlisted:
            cursor.execute(
                "UPDATE audit_mention SET events = overlay(events PLACING '' FROM 17 FOR 8)"
                " WHERE last_id = %s AND octet_length(events) = 24",
                [heads[heads.count() - 2].last_id],
            )
            cursor.execute("DELETE FROM audit_mention WHERE term = 'target:thing/2'")
    page = dot(own).get("/audit/").content.decode()
    counts = f"{3 - deleted} stand in the database, {3 - unlisted} are listed"
    said = f"Leaves {first} to {last - 1}: 3 events were sealed, {counts}"
    assert said in page
    assert page.count("Leaves ") == 1
    found = dot(own).get("/audit/", {"target": "thing/2"}).content.decode()
    assert (GONE in found) is (GONE in page) is not unlisted
    # Where no search can find it any more, the page says that it may have been among what was looked for.
    size, missing = AuditCheckpoint.objects.latest("size").size, "Not all that was sealed stands here"
    held = f"{size - deleted} stand in the database and {size - unlisted} are listed"
    assert f"Of {size} events that were sealed as leaves 0 to {size - 1}, {held}" in found
    batch = re.search(r'href="/audit/(\?before=\d+)">The newest batch with a difference', found)
    assert batch is not None
    assert said in dot(own).get(f"/audit/{batch[1]}").content.decode()
    assert missing in dot(own).get("/audit/reads/", {"person": "customers.customer/tom"}).content.decode()
    behind = {
        "target": "thing/2",
        "before": str(AuditCheckpoint.objects.order_by("size")[heads.count() - 3].last_id),
    }
    assert missing not in dot(own).get("/audit/", behind).content.decode()
    answer = dot(own).get(f"/audit/{gone.id}/")
    assert answer.status_code == (404 if deleted else 200)
    assert (f"sealed as leaf {last - 1} and was removed" in answer.content.decode()) is not unlisted


def test_say_how_far_they_counted_where_a_filter_reaches_over_more_than_a_page_may(
    own: Staff, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = soft_log(tmp_path, origin=ORIGIN)[1]
    for count in (3, 5, 4):
        do(count=count, actor=own.ana.actor, now=now)
        seal_all(seal, now=now)
    size = AuditCheckpoint.objects.latest("size").size
    asked = {"target": "thing/2"}
    assert "was counted back to" not in dot(own).get("/audit/", asked).content.decode()
    monkeypatch.setattr(gaps, "EVENTS_MAX", 5)
    page = dot(own).get("/audit/", asked).content.decode()
    assert f"Whether events are missing was counted back to leaf {size - 9}." in page
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_rows")
        cursor.execute("DELETE FROM audit_event WHERE canon LIKE '%%thing/1%%'")
    assert f"leaves {size - 9} to {size - 1}, 7 stand" in dot(own).get("/audit/", asked).content.decode()


def test_are_filtered_by_actor_target_act_and_time(own: Staff, now: datetime, tmp_path: Path) -> None:
    do(count=2, actor=own.ana.actor, now=now)
    do(count=1, actor=own.ben.actor, now=now)

    def shown(**chosen: str) -> int:
        return dot(own).get("/audit/", chosen).content.decode().count("thing/")

    ana = own.ana.identity.display_name
    everything = shown(action="test.")
    assert everything >= 3
    assert shown(action="test.", target="thing/1") < everything
    assert shown(action="test.", actor=ana) < everything
    assert shown(action="test.", target="thing/1", actor=ana) > 0
    assert shown(action="freezes.") == shown(action="test.", actor="nobody") == 0
    seal = soft_log(tmp_path, origin=ORIGIN)[1]
    for minutes in (0, 10, 20):
        do(count=1, actor=own.cy.actor, now=now + timedelta(minutes=minutes))
        seal_all(seal, now=now + timedelta(minutes=minutes))
    times = {minutes: f"{now + timedelta(minutes=minutes):%Y-%m-%dT%H:%M}" for minutes in (0, 1, 15, 30)}
    cy = own.cy.identity.display_name
    once = shown(actor=cy, action="test.") // 3
    found = [shown(actor=cy, action="test.", until=text) // once for text in times.values()]
    assert found == [0, 1, 2, 3]
    assert shown(
        actor=cy, action="test.", until=f"{now + timedelta(hours=2, minutes=15):%Y-%m-%dT%H:%M}+02:00"
    ) == (2 * once)
    assert dot(own).get("/audit/", {"until": "yesterday"}).status_code == 400


@pytest.mark.parametrize("sealed", [False, True], ids=["waiting", "sealed"])
def test_are_found_by_who_acted_and_say_when_a_name_is_not_ones_alone(
    own: Staff, now: datetime, tmp_path: Path, sealed: bool
) -> None:
    """Whoever is named like Ana, or writes events under her name, is not taken for her."""
    ana = own.ana.identity
    twin = own.ben.identity
    twin.display_name = ana.display_name
    twin.save(update_fields=["display_name"])
    do(count=1, actor=own.ana.actor, now=now)
    do(count=2, actor=replace(own.ben.actor, label=ana.display_name), now=now)
    do(count=3, actor=replace(own.ana.actor, label="Ana, before she married"), now=now)
    do(count=4, actor=replace(own.ana.actor, identity=None), now=now)
    seal = soft_log(tmp_path, origin=ORIGIN)[1]
    if sealed:
        seal_all(seal, now=now)

    def shown(path: str, actor: object, **more: str) -> tuple[int, int]:
        page = dot(own).get(path, {"actor": str(actor), **more}).content.decode()
        return page.count('title="thing/'), page.count(">only <code>")

    acts = {"action": "test."}
    assert shown("/audit/", ana.pk, **acts) == (4, 0)
    assert shown("/audit/", twin.pk, **acts) == (2, 0)
    assert shown("/audit/", ana.display_name, **acts) == (10, 2)
    page = dot(own).get("/audit/", {"actor": ana.display_name}).content.decode()
    assert "some acts under that name name nobody" in page
    assert shown("/audit/", "Ana, before she married", **acts) == (3, 0)
    audit.record_read(Event.DONE, "case/1", of="customers.customer/tom", actor=own.ana.actor, now=now)
    if sealed:
        seal_all(seal, now=now)
    reads = dot(own).get("/audit/reads/", {"actor": str(ana.pk)}).content.decode()
    assert reads.count('title="case/1"') == 1
    assert 'title="case/1"' not in dot(own).get("/audit/reads/", {"actor": str(twin.pk)}).content.decode()


def test_show_what_lies(own: Staff, now: datetime, tmp_path: Path) -> None:
    rows = [AuditEvent.texts.append(text) for text in ("no json", *LIES)]
    seal = soft_log(tmp_path, origin=ORIGIN)[1]
    for _ in range(2):
        assert dot(own).get("/audit/").status_code == dot(own).get("/audit/reads/").status_code == 200
        assert {dot(own).get(f"/audit/{row.id}/").status_code for row in rows} == {200}
        seal_all(seal, now=now)
    page = dot(own).get("/audit/seals/").content.decode()
    assert "Events that the application did not write" in page
    assert "No witness has cosigned anything yet" in page
    assert dot(own).get(f"/audit/{AuditEvent.texts.get(canon='no json').id}/").status_code == 200


def test_say_so_where_the_vault_is_silent(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_doors(settings, monkeypatch)
    exchange = stock(clock.now())
    settings.VAULT_SOCKET = tmp_path / "gone.sock"
    answer = at_console(exchange.staff.ana.identity).post(f"/identity/{exchange.case.pk}/evidence")
    assert answer.status_code == 503
    assert "Nothing was opened: the vault does not answer" in answer.content.decode()
    read = AuditEvent.objects.get(doc__action="kyc.person.read").doc
    assert read["after"]["person"] == f"customers.customer/{exchange.case.profile.customer_id}", "before that"
