"""An export of the audit log …"""

import io
import json
import zipfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection

from core import clock
from core.actor import Actor
from core.audit import cosigning, exporting, packing, sealing, tree, witnesses
from core.audit import verifier as offline
from core.audit.actions import export_log
from core.audit.actions.exports import NoReason
from core.audit.models import AuditCheckpoint, AuditCosignature, AuditEvent, AuditTile
from core.audit.sources import OwnLog
from core.audit.witness import seen_path
from core.refusals import NotFound
from kernel import merkle, note
from tests.actions.test_core_audit_sealing import do
from tests.auditing import ORIGIN, seal


def verify(folder: Path, *more: str) -> int:
    files = [str(folder / "events.jsonl"), "--checkpoints", str(folder / "checkpoints.txt")]
    return offline.main([*files, "--key", str(folder / "key.txt"), *more])


def test_carries_what_every_witness_cosigned(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    among: list[witnesses.Witness],
    robot: Actor,
    now: datetime,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for count in (3, 600, 1):
        do(count=count, actor=robot, now=now)
        seal(log, now)
        assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 2
    assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 0
    assert AuditCosignature.objects.count() == 6
    do(count=2, actor=robot, now=now)
    seal(log, now)  # nobody has cosigned this one yet
    folder = tmp_path / "export"
    by = [one.cosigner for one in among]
    assert exporting.lacking(604, by=by, within_s=0) == ""
    lacking = exporting.lacking(606, by=by, within_s=0)
    assert lacking == "witness.example/1 604 of 606 events, witness.example/2 604 of 606 events"
    exporting.write(folder, log[0], exporting.span(since=None, until=None, by=by), by=by)
    given = []
    for number in (1, 2):
        state = tmp_path / f"w{number}"
        given += ["--witness-key", str(state / "key.txt"), "--witness", str(seen_path(state, ORIGIN))]
    assert verify(folder, *given) == 0
    said = capsys.readouterr().out
    assert said.startswith("OK 604 events under 3 checkpoints")
    assert "cosigned by witness.example/1" in said
    assert "would pass" not in said
    # The end of a time is no checkpoint that witnesses must have seen: it goes on to one that they have.
    late = now + timedelta(hours=3)
    for count in (1, 1):
        do(count=count, actor=robot, now=late)
        seal(log, late)
    assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 2
    assert exporting.span(since=None, until=now).end == 607
    assert exporting.span(since=None, until=now, by=by).end == 608
    do(count=1, actor=robot, now=late)
    seal(log, late)
    assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 2
    assert exporting.span(since=None, until=now, by=by).end == 608, "and no further"


FALSE_LINES = {
    "of another head": lambda line: line,
    "broken": lambda line: line[:-8] + "AAAAAAA=",
    "no line": lambda line: "no signature line",
    "two lines": lambda line: line + "\nsomething else",
}


@pytest.mark.parametrize("kind", FALSE_LINES)
def test_carries_no_line_that_its_witness_did_not_sign_and_every_one_that_it_did(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    among: list[witnesses.Witness],
    robot: Actor,
    now: datetime,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    """The worker's role writes such rows. A verifier rejects a note for one wrong line of a key it knows."""
    by = [one.cosigner for one in among]
    for count in (2, 2):
        do(count=count, actor=robot, now=now)
        seal(log, now)
        assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 2
    do(count=1, actor=robot, now=now)
    seal(log, now)
    heads = dict(AuditCheckpoint.objects.values_list("size", "note"))
    true = AuditCosignature.objects.filter(size=2)
    for row in true:
        for size in (4, 5, 900):
            row.pk, row.size, row.note = None, size, heads.get(size, row.note)
            row.line = FALSE_LINES[kind](row.line)
            row.at = clock.now() + timedelta(hours=1)
            row.save()
    crowd = AuditCosignature(log=ORIGIN, size=4, note=heads[4], line="\N{EM DASH} crowd AAAA", at=now)
    for number in range(20):
        crowd.pk, crowd.witness = None, f"crowd.example/{number}"
        crowd.save()
    span = exporting.span(since=None, until=None, by=by)
    assert span.end == 4
    exporting.write(tmp_path / "export", log[0], span, by=by)
    keys = [f"--witness-key={tmp_path}/w{number}/key.txt" for number in (1, 2)]
    assert verify(tmp_path / "export", *keys) == 0
    assert "crowd" not in (tmp_path / "export" / "checkpoints.txt").read_text()
    assert "1 rows under heads of countersign/test/audit name witness.example/1" in caplog.text
    # Nor does the collector pass over a witness because a row says that it was asked …
    assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 2
    assert exporting.span(since=None, until=None, by=by).end == 5
    assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 0
    # … or end where one stands in the way of the next.
    do(count=1, actor=robot, now=now)
    seal(log, now)
    second = clock.now().replace(microsecond=0)
    for late_s in range(-1, 60):
        row.pk, row.size, row.witness, row.at = None, 6, by[0].name, second + timedelta(seconds=late_s)
        row.save()
    assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 2


def test_of_a_time_range_is_proven_from_checkpoint_to_checkpoint(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    robot: Actor,
    now: datetime,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for hour in range(6):
        moment = now + timedelta(hours=3 * hour)
        do(count=4 + hour, actor=robot, now=moment)
        seal(log, moment)
    since, until = now + timedelta(hours=6), now + timedelta(hours=9)
    span = exporting.span(since=since, until=until)
    assert (span.first, span.end) == (9, 30)
    folder = tmp_path / "export"
    exporting.write(folder, log[0], span)
    start = ("--start", str(folder / "start.txt"))
    assert verify(folder, *start) == 0
    assert capsys.readouterr().out.startswith("OK 21 events (9 to 29) under 4 checkpoints")
    assert verify(folder) == 1
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join([*lines[:7], b"{}\n", *lines[8:]]))
    assert verify(folder, *start) == 1
    assert capsys.readouterr().out.endswith("FAIL event 16 is not the one that was sealed\n")
    (folder / "start.txt").write_text((folder / "start.txt").read_text().replace("9\n", "8\n", 1))
    assert verify(folder, *start) in (1, 2)


def test_of_the_same_range_is_the_same_bytes_whenever_it_is_read(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    settings: Any,
    robot: Actor,
    now: datetime,
    tmp_path: Path,
) -> None:
    """Whatever was written and sealed since: two auditors can compare what they were given."""
    settings.AUDIT_KEY_FILE, settings.AUDIT_ORIGIN = tmp_path / "key.txt", ORIGIN

    def fill(hours: range) -> None:
        for hour in hours:
            AuditEvent.texts.append(f"two\nlines {hour}")
            do(count=300 + hour, actor=robot, now=now + timedelta(hours=3 * hour))
            seal(log, now + timedelta(hours=3 * hour))

    def read(name: str, at: float) -> dict[str, bytes]:
        time = {"since": now + timedelta(hours=3), "until": now + timedelta(hours=6)}
        span = exporting.span(**time)
        files = exporting.write(tmp_path / name, log[0], span)
        found = {file.name: file.read_bytes() for file in files}
        with mock.patch("time.time", return_value=at):  # what a ZIP file would date its files by
            found["zip"] = b"".join(packing.whole(span, **time))
        return found | {"ocsf": b"".join(packing.ocsf_lines(span, **time))}

    fill(range(4))
    first = read("first", 1_790_000_000)
    fill(range(4, 6))
    assert read("second", 1_800_000_000) == first
    with zipfile.ZipFile(io.BytesIO(first["zip"])) as archive:
        for name in archive.namelist():
            assert archive.read(name) == (tmp_path / "first" / name).read_bytes()
    assert set(first) == {"events.jsonl", "checkpoints.txt", "key.txt", "start.txt", "zip", "ocsf"}


def test_of_a_time_misses_no_event_of_it_whatever_the_clocks_and_the_sealer_did(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    robot: Actor,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def act(at_h: float, *, sealed_h: float | None = None) -> None:
        do(count=1, actor=robot, now=now + timedelta(hours=at_h))
        if sealed_h is not None:
            seal(log, now + timedelta(hours=sealed_h))

    def found(since_h: float, until_h: float) -> tuple[int, int]:
        span = exporting.span(since=now + timedelta(hours=since_h), until=now + timedelta(hours=until_h))
        return span.first, span.end

    monkeypatch.setattr(sealing, "BATCH", 2)
    for at_h, sealed_h in ((0, 0), (10, 10), (8, 8), (12, 12)):  # the clock goes back
        act(at_h, sealed_h=sealed_h)
    assert found(9, 10.5) == found(9.5, 10.5) == (1, 4)
    act(20.1, sealed_h=19.9)  # the writer's clock goes before
    assert found(20, 20.5) == (4, 5)
    for _ in range(5):  # the sealer is down, and has more than a batch to catch up with
        act(30)
    act(40, sealed_h=40)
    act(41, sealed_h=41)
    assert found(29, 31) == (5, 11)
    assert found(20, 20.5) == (4, 7)
    with pytest.raises(exporting.BadSpan):
        found(5, 5)


def test_in_ocsf_of_a_time_shows_an_event_that_names_another(
    real_database: str, log: tuple[note.Verifier, sealing.Seal], robot: Actor, now: datetime
) -> None:
    """Whoever has a role of the application writes what they like as an event, its date as well."""
    for day in range(4):
        do(count=1, actor=robot, now=now + timedelta(days=day))
        if day == 2:
            for year in ("0001", "2001", "2099"):
                AuditEvent.texts.append(f'{{"at":"{year}-01-01T00:00:00Z","action":"x"}}', act=uuid4())
        seal(log, now + timedelta(days=day))
    since, until = now + timedelta(days=2), now + timedelta(days=2, minutes=1)
    span = exporting.span(since=since, until=until)
    told = [json.loads(line) for line in packing.ocsf_lines(span, since, until)]
    assert [row["metadata"]["sequence"] for row in told] == [2, 3, 4, 5]
    with connection.cursor() as cursor:  # the database's owner removes one
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_rows")
        cursor.execute("DELETE FROM audit_event WHERE canon LIKE '%2099%'")
    told = [json.loads(line) for line in packing.ocsf_lines(span, since, until)]
    assert [row["metadata"]["sequence"] for row in told] == [2, 3, 4, 5]
    assert [row["activity_name"] == "audit.removed" for row in told] == [False, False, False, True]


def test_is_on_record_before_it_is_written(
    real_database: str, log: tuple[note.Verifier, sealing.Seal], robot: Actor, now: datetime
) -> None:
    with pytest.raises(NotFound):
        export_log(since=None, until=None, form="jsonl", reason="why", actor=robot, now=now)
    do(count=3, actor=robot, now=now)
    seal(log, now)
    export_log(since=None, until=None, form="jsonl", reason="why", actor=robot, now=now)
    newest = AuditEvent.objects.order_by("-id")[0].doc
    assert (newest["action"], newest["reason"], newest["after"]["end"]) == ("audit.exported", "why", 4)
    with pytest.raises(NoReason):
        export_log(since=None, until=None, form="jsonl", reason=" ", actor=robot, now=now)
    newest = AuditEvent.objects.order_by("-id")[0].doc
    assert (newest["action"], newest["after"]) == ("audit.exported.refused", {"code": "no_reason"})


def test_comes_as_ocsf_too(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    settings: object,
    robot: Actor,
    now: datetime,
    tmp_path: Path,
) -> None:
    settings.AUDIT_KEY_FILE, settings.AUDIT_ORIGIN = tmp_path / "key.txt", ORIGIN  # type: ignore[attr-defined]
    do(count=3, actor=robot, now=now)
    lies = ["no json", '{"action":7,"at":"then"}', "a\nb", "=\n"]
    for lie in lies:
        AuditEvent.texts.append(lie)
    seal(log, now)
    call_command("export_audit", str(tmp_path / "out"), form="ocsf", since=now, stdout=io.StringIO())
    rows = [json.loads(line) for line in (tmp_path / "out" / "events.ocsf.jsonl").read_text().splitlines()]
    assert [row["metadata"]["sequence"] for row in rows] == [0, 1, 2, 3, 4, 5, 6]
    assert [row["unmapped"]["text"] for row in rows[3:]] == lies
    assert verify(tmp_path / "out") == 0, "a line break in a text makes no two events of it"
    events = tmp_path / "out" / "events.jsonl"
    events.write_bytes(events.read_bytes().replace(b"=YQpi", b"=YQpj"))
    assert verify(tmp_path / "out") == 1
    assert {row["type_uid"] for row in rows} == {row["class_uid"] * 100 + row["activity_id"] for row in rows}
    assert rows[0]["unmapped"]["action"] == rows[0]["activity_name"] == "test.done"


def test_proves_from_kept_tiles_what_all_the_leaves_would_prove(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    robot: Actor,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    monkeypatch.setattr(tree, "_BITS", 2)
    monkeypatch.setattr(tree, "WIDTH", 4)
    for count in (20, 10, 3, 62):
        do(count=count, actor=robot, now=now)
        seal(log, now)
    kept = Counter(AuditTile.objects.values_list("level", flat=True))
    assert kept == {0: 95 // 4, 1: 95 // 16, 2: 95 // 64}
    texts = [text for _, text in exporting.texts(exporting.span(since=None, until=None))]
    leaves = [merkle.leaf(text.encode()) for text in texts]

    def prove() -> None:
        for size, index in ((95, 0), (95, 94), (95, 70), (30, 29), (33, 32), (64, 9)):
            assert tree.inclusion_proof(size, index) == merkle.inclusion_proof(leaves[:size], index)
        for new, old in ((95, 30), (95, 64), (33, 30), (95, 95), (95, 1), (64, 63)):
            assert tree.consistency_proof(new, old) == merkle.consistency_proof(leaves[:new], old)

    prove()
    assert tree.root(0, 95) == merkle.root(leaves)
    with django_assert_max_num_queries(12):  # however large: a few for each level, no tile twice
        tree.inclusion_proof(95, 21)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_tile DISABLE TRIGGER audit_tile_rows")
        cursor.execute("UPDATE audit_tile SET root = ''")  # as tiles were kept before
    prove()
