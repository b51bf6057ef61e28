"""An export of the audit log …"""

import io
import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import connection

from core import clock
from core.actor import Actor
from core.audit import cosigning, exporting, packing, sealing, sources, tree, witnesses
from core.audit import verifier as offline
from core.audit.actions import export_log
from core.audit.actions.exports import NoReason
from core.audit.models import AuditCosignature, AuditEvent, AuditTile
from core.audit.sources import OwnLog, ProgramsLog
from core.audit.witness import Answer, Server, Witness, seen_path
from core.refusals import NotFound
from core.trusted import serving
from core.vault.log import Log
from kernel import cosignature, merkle, note
from tests.actions.test_core_audit_sealing import do, seal_all
from tests.notaries import soft_log

ORIGIN = "countersign/test/audit"


@pytest.fixture
def log(tmp_path: Path) -> tuple[note.Verifier, sealing.Seal]:
    return soft_log(tmp_path, origin=ORIGIN)


@contextmanager
def watching(
    folder: Path, log: note.Verifier, *, kinds: tuple[type[Witness], ...] = (Witness, Witness)
) -> Iterator[list[witnesses.Witness]]:
    """Two witnesses, each answering on a socket of its own."""
    found, servers = [], []
    for number, kind in enumerate(kinds, 1):
        one = kind(name=f"witness.example/{number}", logs=[log], state=folder / f"w{number}")
        path = folder / f"w{number}.sock"
        server = Server(path, one)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        found.append(witnesses.Witness(one.cosigner, path))
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def among(tmp_path: Path, log: tuple[note.Verifier, sealing.Seal]) -> Iterator[list[witnesses.Witness]]:
    with watching(tmp_path, log[0]) as found:
        yield found


def seal(log: tuple[note.Verifier, sealing.Seal], now: datetime) -> None:
    seal_all(log[1], now=now)


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
    exporting.write(folder, log[0], exporting.span(since=None, until=None, among=among))
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
    assert exporting.span(since=None, until=now, among=[]).end == 607
    assert exporting.span(since=None, until=now, among=among).end == 608


def test_finds_its_way_with_a_witness_that_knows_more_or_less_than_we_remember(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    among: list[witnesses.Witness],
    robot: Actor,
    now: datetime,
) -> None:
    do(count=5, actor=robot, now=now)
    seal(log, now)
    head = exporting.notes(exporting.span(since=None, until=None))
    witnesses.ask(among[0], old=0, proof=[], note=next(head))  # and the answer is lost
    do(count=5, actor=robot, now=now)
    seal(log, now)
    assert cosigning.collect(OwnLog(log[0]), among, now=clock.now()) == 2
    do(count=1, actor=robot, now=now)
    seal(log, now)
    gone = witnesses.Witness(among[0].cosigner, among[0].socket.with_name("nobody"))
    assert cosigning.collect(OwnLog(log[0]), [gone, among[1]], now=clock.now()) == 1


class Liar(Witness):
    """It says that it saw what it cosigns in a time to come."""

    at = 0

    def add(self, body: bytes, *, at: int) -> Answer:
        return super().add(body, at=self.at)


@pytest.mark.parametrize("at", [2**33, 2**63], ids=["in 2242", "in no year"])
def test_is_cosigned_by_the_others_where_a_witness_lies_about_the_time(
    real_database: str,
    log: tuple[note.Verifier, sealing.Seal],
    robot: Actor,
    now: datetime,
    tmp_path: Path,
    at: int,
) -> None:
    do(count=3, actor=robot, now=now)
    seal(log, now)
    with watching(tmp_path, log[0], kinds=(Liar, Witness)) as asked, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Liar, "at", at)
        assert cosigning.collect(OwnLog(log[0]), asked, now=clock.now()) == 1
    assert AuditCosignature.objects.get().witness == "witness.example/2"


@pytest.mark.parametrize("side", ["witness", "log"])
def test_is_held_up_by_nobody_who_drips(side: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte at a time keeps each single wait short, and the whole without end."""
    monkeypatch.setattr(witnesses, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(sources, "_PATIENCE_S", 0.2)
    given_up, path = threading.Event(), tmp_path / "drips.sock"

    def drip() -> None:
        connection, _ = listener.accept()
        connection.settimeout(30)
        with connection, suppress(OSError):
            connection.sendall({"witness": b"HTTP/1.0 200 OK\r\nA: ", "log": b"\0\0\1\0"}[side])
            for _ in range(200):
                time.sleep(0.05)
                connection.sendall(b"1")
            return
        given_up.set()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        verifier = note.Verifier(ORIGIN, b"\1" * 32)
        if side == "witness":
            asked = witnesses.Witness(cosignature.Cosigner("w", b"\1" * 32), path)
            with suppress(witnesses.Unwilling):
                assert not witnesses.ask(asked, old=0, proof=[], note="")
        else:
            with pytest.raises(sources.Silent):
                ProgramsLog(verifier, path).head()
        thread.join()
    assert given_up.is_set()


def test_carries_the_heads_of_trusted_programs_and_brings_them_back(
    real_database: str, now: datetime, tmp_path: Path
) -> None:
    """The vault's log here; signers and the approver speak the same."""
    key = Ed25519PrivateKey.generate()
    kept = Log(tmp_path / "openings.jsonl", origin="countersign/vault", key=key)
    told: list[str] = []

    shown_is = [kept]

    def answer(message: serving.Message, _uid: int) -> serving.Message:
        if message["type"] == "log_cosigned":
            told.append(str(message["note"]))
        return shown_is[0].answer(message) or {}

    listener = serving.listen(tmp_path / "vault.sock")
    served = {"answer": answer, "allowed": [os.getuid()], "log": print, "running": lambda: True}
    threading.Thread(target=serving.serve, args=[listener], kwargs=served, daemon=True).start()
    source = ProgramsLog(kept.verifier, tmp_path / "vault.sock")
    with watching(tmp_path, kept.verifier) as asked:
        assert cosigning.collect(source, asked, now=clock.now()) == 2  # an empty log has a head, too
        for count in (1, 5):
            for _ in range(count):
                kept.add({"v": 1})
            assert cosigning.collect(source, asked, now=clock.now()) == 2
            for shown in (told[-1], "\n".join(exporting.other_heads())):
                heads = offline.verify_heads(
                    shown, keys=[kept.verifier], cosigners=[w.cosigner for w in asked]
                )
                assert heads[0][0].size == kept.tree.size
        thief = note.Verifier("countersign/vault", b"\1" * 32)
        assert cosigning.collect(ProgramsLog(thief, tmp_path / "vault.sock"), asked, now=clock.now()) == 0
        assert cosigning.collect(ProgramsLog(kept.verifier, tmp_path / "gone"), asked, now=clock.now()) == 0
        # Its host puts an old copy back, by and by with other lines.
        fork = Log(tmp_path / "fork.jsonl", origin="countersign/vault", key=key)
        shown_is[0] = fork
        for count in (2, 3, 6):
            while fork.tree.size < count:
                fork.add({"v": 1} if fork.tree.size < 2 else {"v": 2})
            assert cosigning.collect(source, asked, now=clock.now() + timedelta(hours=1)) == 0
        assert len(told) == 3
        fork.close()
    kept.close()


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
    assert found(9, 10.5) == (1, 4)
    act(20.1, sealed_h=19.9)  # the writer's clock goes before
    assert found(20, 20.5) == (4, 5)
    for _ in range(5):  # the sealer is down, and has more than a batch to catch up with
        act(30)
    act(40, sealed_h=40)
    act(41, sealed_h=41)
    assert found(29, 31) == (5, 11)
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
    lines = packing.ocsf_lines(exporting.span(since=since, until=until), since, until)
    assert [json.loads(line)["metadata"]["sequence"] for line in lines] == [2, 3, 4, 5]


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
