"""The sealer …"""

import time
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from core import audit
from core.action import action
from core.actor import Actor
from core.audit import exporting, key, queries, sealing
from core.audit import verifier as audit_verifier
from core.audit.models import AuditCheckpoint, AuditEvent
from kernel import merkle, note


class Event(StrEnum):
    DONE = "test.done"


@action(Event.DONE)
def do(*, count: int, actor: Actor, now: datetime) -> None:
    for number in range(count):
        audit.record(Event.DONE, f"thing/{number}", actor=actor, now=now)


@pytest.fixture
def log_key(tmp_path: Path) -> tuple[note.Verifier, sealing.Seal]:
    path = tmp_path / "audit.pem"
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return key.load(path, origin="countersign/test/audit")


def seal_all(seal: sealing.Seal, *, now: datetime) -> int:
    """Seal what waits; how many. Transactions of the cluster's other databases may hold the sealer up."""
    deadline, sealed = time.monotonic() + 60, 0
    while AuditEvent.objects.filter(leaf=None).exists():
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
            cursor.execute("INSERT INTO audit_event (canon, txid) VALUES ('{}', %s::text::xid8)", [str(txid)])
    assert seal_all(seal, now=now) == 4
    assert AuditCheckpoint.objects.get().last_txid == "100"
    assert sealing.seal_next(seal, now=now) == 0


def test_leaves_no_gap_behind_a_transaction_that_is_still_open(
    real_database: str, log_key: tuple[note.Verifier, sealing.Seal], robot: Actor, now: datetime
) -> None:
    import psycopg

    _, seal = log_key
    parameters = connection.get_connection_params()
    with psycopg.connect(host=parameters["host"], user=parameters["user"], dbname=real_database) as slow:
        slow.execute("INSERT INTO audit_event (canon) VALUES ('{\"slow\": true}')")
        do(count=2, actor=robot, now=now)
        assert sealing.seal_next(seal, now=now) == 0
        slow.commit()
    assert seal_all(seal, now=now) == 3
