"""The sealer …"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from core import audit
from core.action import action
from core.actor import Actor
from core.audit import exporting, probing, queries, sealing
from core.audit import verifier as audit_verifier
from core.audit.growing import Growth
from core.audit.models import AuditCheckpoint, AuditEvent
from core.audit.sealing import NotSealed
from core.daemon import lock_key
from core.health import Status
from kernel import merkle, note
from tests.notaries import seal_by, soft_log, soft_notary


class Event(StrEnum):
    DONE = "test.done"


@action(Event.DONE)
def do(*, count: int, actor: Actor, now: datetime) -> None:
    for number in range(count):
        audit.record(Event.DONE, f"thing/{number}", actor=actor, now=now)


@pytest.fixture
def log_key(tmp_path: Path) -> tuple[note.Verifier, sealing.Seal]:
    return soft_log(tmp_path, origin="countersign/test/audit")


def seal_all(seal: sealing.Seal, *, now: datetime) -> int:
    """Seal what waits; how many. Transactions of the cluster's other databases hold the sealer up: a whole
    test of another worker.
    """
    deadline, sealed = time.monotonic() + 600, 0
    while queries.waiting():
        assert time.monotonic() < deadline
        sealed += sealing.seal_next(seal, now=now)
    return sealed


def test_seals_each_event_once_under_a_root_that_anybody_can_recompute(
    real_database: str,
    log_key: tuple[note.Verifier, sealing.Seal],
    robot: Actor,
    now: datetime,
    tmp_path: Path,
) -> None:
    verifier, seal = log_key
    for count in (3, 4, 1):
        do(count=count, actor=robot, now=now)
        assert seal_all(seal, now=now) == count
        assert sealing.seal_next(seal, now=now) == 0
    assert [row.size for row in AuditCheckpoint.objects.order_by("size")] == [3, 7, 8]
    span = exporting.span(since=None, until=None)
    events, checkpoints, public = exporting.write(tmp_path / "export", verifier, span)
    leaves = [merkle.leaf(line.encode()) for line in events.read_text().splitlines()]
    arguments = [str(events), "--checkpoints", str(checkpoints), "--key", str(public)]
    assert audit_verifier.main(arguments) == 0
    events.write_bytes(events.read_bytes().replace(b"thing/0", b"thing/9", 1))
    assert audit_verifier.main(arguments) == 1
    for row in AuditCheckpoint.objects.all():
        head = note.Checkpoint.parse(note.open_note(row.note, by=verifier))
        assert head.root == merkle.root(leaves[: head.size])
    for event in AuditEvent.objects.all():
        proof = queries.proof(event)
        assert proof is not None
        merkle.verify_inclusion(
            [bytes.fromhex(step) for step in proof.path],
            leaf_hash=merkle.leaf(event.canon.encode()),
            index=proof.index,
            size=proof.size,
            root=merkle.root(leaves),
        )


def test_reads_transactions_in_the_order_of_their_numbers(
    real_database: str, log_key: tuple[note.Verifier, sealing.Seal], now: datetime
) -> None:
    _, seal = log_key
    with connection.cursor() as cursor:
        for txid in (10, 9, 100, 99):
            cursor.execute("INSERT INTO audit_event (canon, tx) VALUES ('{}', %s)", [txid])
    assert seal_all(seal, now=now) == 4
    assert AuditCheckpoint.objects.get().last_id >> 20 == 100
    assert sealing.seal_next(seal, now=now) == 0


def test_leaves_no_gap_behind_a_transaction_that_is_still_open(
    real_database: str, log_key: tuple[note.Verifier, sealing.Seal], robot: Actor, now: datetime
) -> None:
    _, seal = log_key
    parameters = connection.get_connection_params()
    with psycopg.connect(host=parameters["host"], user=parameters["user"], dbname=real_database) as slow:
        slow.execute("INSERT INTO audit_event (canon) VALUES ('{\"slow\": true}')")
        do(count=2, actor=robot, now=now)
        assert sealing.seal_next(seal, now=now) == 0
        slow.commit()
    assert seal_all(seal, now=now) == 3


@pytest.mark.parametrize(
    ("canon", "fault"),
    [
        ("no json", "no event"),
        ("[]", "no event"),
        ('{"at":"2026-01-01T00:00:00Z","action":"a","act":"x"}', "another act"),
        ('{"at":"2026-01-01T00:00:00","action":"a","act":"x"}', "no event"),
        (r'{"action":"\ud800","actor":{"label":"\ud800"},"at":"2026-01-01T00:00:00Z"}', "no event"),
        (r'{"action":"\u0000a\n\\.","actor":{"label":"\t"},"at":"2026-01-01T00:00:00Z"}', "another act"),
    ],
)
def test_names_an_event_that_lies(
    real_database: str,
    log_key: tuple[note.Verifier, sealing.Seal],
    canon: str,
    fault: str,
    robot: Actor,
    now: datetime,
) -> None:
    AuditEvent.texts.append(canon, act=uuid4())
    assert len(queries.events()) == 1  # the screen still stands
    do(count=1, actor=robot, now=now)
    assert seal_all(log_key[1], now=now) == 2
    assert [(one.fault, one.row.canon) for one in queries.faults(limit=9)] == [(fault, canon)]
    assert queries.faulty() == 1
    assert len(queries.events()) == 2


def test_lets_events_be_found_before_and_after(
    real_database: str, log_key: tuple[note.Verifier, sealing.Seal], robot: Actor, now: datetime
) -> None:
    def found(**asked: object) -> list[str]:
        return [row.doc["target"] for row in queries.events(**asked)]  # type: ignore[arg-type]

    do(count=2, actor=robot, now=now)
    under = replace(robot, under="access.rolegrant/7")
    audit.record_read(Event.DONE, "case/1", of="person/tom", actor=under, now=now)
    for _ in range(2):
        assert found() == ["case/1", "thing/1", "thing/0"]
        assert found(target="thing/1") == found(action="test.", before_id=queries.events()[0].id, limit=1)
        assert (
            found(person="person/tom") == found(reads=True) == found(under="access.rolegrant/7") == ["case/1"]
        )
        assert found(actor="nobody") == found(action="x") == found(person="person/tia") == []
        assert len(found(actor=robot.label)) == 3
        seal_all(log_key[1], now=now)


def test_goes_on_after_dying_between_the_notarys_signature_and_its_own_write(
    real_database: str, robot: Actor, now: datetime, tmp_path: Path
) -> None:
    notary = soft_notary(tmp_path, origin="countersign/test/audit")

    def dies(size: int, root: bytes, growth: Growth) -> str:
        seal_by(notary)(size, root, growth)
        raise KeyboardInterrupt

    do(count=5, actor=robot, now=now)
    seal_all(seal_by(notary), now=now)
    do(count=300, actor=robot, now=now)
    with pytest.raises(KeyboardInterrupt):
        seal_all(dies, now=now)
    assert (notary.size, AuditCheckpoint.objects.get().size) == (305, 5)
    do(count=4, actor=robot, now=now)
    seal_all(seal_by(notary), now=now)
    assert notary.size == AuditCheckpoint.objects.order_by("-size")[0].size == 309


def test_leaves_one_tree_where_another_sealer_is_at_work(
    real_database: str, robot: Actor, now: datetime, tmp_path: Path
) -> None:
    """Such as by hand, beside the daemon, or one that is not dead yet."""
    notary = soft_notary(tmp_path, origin="countersign/test/audit")
    seal = seal_by(notary)

    def other() -> None:
        do(count=1, actor=robot, now=now)
        seal_all(seal, now=now)
        connection.close()

    def overtaken(size: int, root: bytes, growth: Growth) -> str:
        signed = seal(size, root, growth)
        with ThreadPoolExecutor(1) as beside:
            beside.submit(other).result()
        return signed

    do(count=3, actor=robot, now=now)
    with pytest.raises(NotSealed, match="another sealer went on meanwhile"):
        seal_all(overtaken, now=now)
    do(count=2, actor=robot, now=now)
    parameters = connection.get_connection_params()
    with psycopg.connect(host=parameters["host"], user=parameters["user"], dbname=real_database) as daemon:
        daemon.execute("SELECT pg_advisory_lock(%s)", [lock_key(sealing.LEADER)])
        with pytest.raises(NotSealed, match="another sealer is at work"):
            seal_all(seal, now=now)
    assert seal_all(seal, now=now) == 2
    files = exporting.write(tmp_path / "export", notary.log, exporting.span(since=None, until=None))
    names = [str(files[0]), "--checkpoints", str(files[1]), "--key", str(files[2])]
    assert audit_verifier.main(names) == 0


def test_says_so_where_it_would_pass_over_what_happens_now(
    real_database: str, robot: Actor, now: datetime, tmp_path: Path
) -> None:
    """A dump brings back numbers of transactions that the new database has yet to begin; an owner who lifts
    the cursor does the same.
    """
    _, seal = soft_log(tmp_path, origin="countersign/test/audit")
    do(count=3, actor=robot, now=now)
    seal_all(seal, now=now)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_checkpoint DISABLE TRIGGER audit_checkpoint_rows")
        cursor.execute("UPDATE audit_checkpoint SET last_id = last_id + (1000 << 20)")
    do(count=1, actor=robot, now=now)
    assert queries.waiting() == 0
    with pytest.raises(NotSealed, match="of a transaction that has not begun"):
        sealing.seal_next(seal, now=now)
    assert probing.read_log(now).status is Status.DOWN


def test_gets_no_signature_for_a_database_that_was_rolled_back_or_a_fork(
    real_database: str, robot: Actor, now: datetime, tmp_path: Path
) -> None:
    notary = soft_notary(tmp_path, origin="countersign/test/audit")
    do(count=5, actor=robot, now=now)
    seal_all(seal_by(notary), now=now)
    do(count=300, actor=robot, now=now)
    seal_all(seal_by(notary), now=now)
    with connection.cursor() as cursor:  # the owner puts an old copy back: the newer rows are gone
        cursor.execute("SET session_replication_role = replica")
        for table in ("audit_event", "audit_mention", "audit_checkpoint", "audit_tile"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        cursor.execute("DELETE FROM audit_checkpoint WHERE size > 5")
        cursor.execute(
            "DELETE FROM audit_mention WHERE last_id NOT IN (SELECT last_id FROM audit_checkpoint)"
        )
        cursor.execute("DELETE FROM audit_tile")
        cursor.execute("DELETE FROM audit_event WHERE tx << 20 | n > (SELECT last_id FROM audit_checkpoint)")
    do(count=3, actor=robot, now=now)
    with pytest.raises(NotSealed, match="cut back"):
        seal_all(seal_by(notary), now=now)
    do(count=400, actor=robot, now=now)
    with pytest.raises(NotSealed, match="NOTARY_LOG_REWRITTEN"):
        seal_all(seal_by(notary), now=now)
    assert (notary.size, AuditCheckpoint.objects.get().size) == (305, 5)
