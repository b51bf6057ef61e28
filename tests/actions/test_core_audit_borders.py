"""The beginning of an export of a time …"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.actor import Actor
from core.audit import cosigned, exporting, verifier
from core.audit.models import AuditCheckpoint, AuditCosignature
from kernel import cosignature
from tests.actions.test_core_audit_sealing import do, seal_all
from tests.auditing import ORIGIN
from tests.notaries import soft_log


def test_is_a_head_that_every_witness_saw_and_says_when_they_first_did(
    real_database: str, robot: Actor, now: datetime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So who has asked for a time can see that nothing of it was left in front."""
    log, seal = soft_log(tmp_path, origin=ORIGIN)
    for hours in range(4):
        do(count=2, actor=robot, now=now + timedelta(hours=hours))
        seal_all(seal, now=now + timedelta(hours=hours))
    secrets = [Ed25519PrivateKey.generate() for _ in range(2)]
    by = [
        cosignature.Cosigner(f"witness.example/{number}", secret.public_key().public_bytes_raw())
        for number, secret in enumerate(secrets)
    ]
    given = []
    for size, witness, at in ((2, 0, 200), (2, 0, 100), (2, 1, 90), (4, 0, 250), (8, 0, 300), (8, 1, 300)):
        head = AuditCheckpoint.objects.get(size=size)
        line = cosignature.cosign(
            cosigned.text_of(head.note), by=by[witness], signer=secrets[witness].sign, at=at
        )
        AuditCosignature.objects.create(
            log=ORIGIN,
            note=head.note,
            size=size,
            witness=by[witness].name,
            line=line,
            at=datetime.fromtimestamp(at, UTC),
        )
    for one in by:
        path = tmp_path / f"{one.public_key.hex()}.key"
        path.write_text(f"{one}\n")
        given += ["--witness-key", str(path)]
    span = exporting.span(since=now + timedelta(hours=3), until=None, by=by)
    events, checkpoints, key, start = exporting.write(tmp_path / "export", log, span, by=by)
    files = [str(events), "--checkpoints", str(checkpoints), "--key", str(key), "--start", str(start)]
    assert verifier.main([*files, *given]) == 0
    said = capsys.readouterr().out
    assert said.startswith("OK 6 events (2 to 7; those in front were seen by 1970-01-01T00:01:40Z) under")
