"""The head of a log, before an outsider, …"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit import verifier
from kernel import cosignature, encodings, merkle, note
from tests.domain.test_audit_outsiders import start_of, written
from tests.exports import HEADS, LINES, LOG, THIEF, head

SIGNER = note.Verifier("countersign/test/hot-1", THIEF.public_key().public_bytes_raw())
WITNESS = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
BY = cosignature.Cosigner("witness.example/1", WITNESS.public_key().public_bytes_raw())


def root(size: int) -> bytes:
    return merkle.root(merkle.leaf(line[:-1]) for line in LINES[:size])


def signers_head(size: int) -> str:
    return note.sign(note.Checkpoint(SIGNER.name, size, root(size)).text(), by=SIGNER, signer=THIEF.sign)


def seen(signed: str, at: int) -> str:
    line = cosignature.cosign(signed.rpartition("\n\n")[0] + "\n", by=BY, signer=WITNESS.sign, at=at)
    return f"{signed}{line}\n"


def asked(folder: Path, *, last: str, signers: str, key: bool = True, memory: str = "") -> list[str]:
    """The verifier's arguments for an export that ends with that head and holds that of a signer."""
    arguments = written(folder, LINES, [*HEADS[:-1], last])
    (folder / "logs.txt").write_text(signers, encoding="utf-8")
    (folder / "logs.keys").write_text(f"{SIGNER}\n", encoding="utf-8")
    arguments += ["--logs", str(folder / "logs.txt"), "--log-keys", str(folder / "logs.keys")]
    if key:
        (folder / "witness.key").write_text(f"{BY}\n", encoding="utf-8")
        arguments += ["--witness-key", str(folder / "witness.key")]
    if memory:
        (folder / "witness").write_text(memory, encoding="utf-8")
        arguments += ["--witness", str(folder / "witness")]
    return arguments


@pytest.mark.parametrize(
    ("size", "remembered", "why"),
    [
        (4, root(4), ""),
        (5, root(5), "the head of countersign/test/hot-1 is old: 4 lines, .*witness saw 5"),
        (4, b"\1" * 32, "the log countersign/test/hot-1 was rewritten, or the witness lies"),
    ],
    ids=["as far", "older", "another"],
)
def test_is_as_far_as_a_witness_remembers_also_where_it_is_another_logs(
    size: int, remembered: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever makes the export would hide by an old one what a signer did since."""
    own = f"10 {encodings.base64_standard(root(10))} {LOG.name}\n"
    memory = f"{own}{size} {encodings.base64_standard(remembered)} {SIGNER.name}\n"
    given = asked(tmp_path, last=seen(HEADS[-1], 1), signers=seen(signers_head(4), 1), memory=memory)
    assert verifier.main(given) == (1 if why else 0)
    found = capsys.readouterr().out
    assert found.startswith("FAIL " if why else "OK 10 events under 4 checkpoints")
    assert "a witness remembers 10" in found or bool(why)
    assert re.search(why, found)


def test_is_not_believed_at_a_time_that_no_clock_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    never = 2**64 - 1
    for last, signers in ((never, 1), (1, never)):
        given = asked(tmp_path, last=seen(HEADS[-1], last), signers=seen(signers_head(4), signers))
        assert verifier.main(given) == 1
        assert (
            f"witness.example/1 cosigned at a time that no clock shows ({never})" in capsys.readouterr().out
        )


def test_is_said_to_be_unwitnessed_where_no_witness_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verifier.main(asked(tmp_path, last=HEADS[-1], signers=signers_head(4), key=False)) == 0
    *_, said = capsys.readouterr().out.splitlines()
    assert said.startswith("OK countersign/test/hot-1 at 4, root ")
    assert said.endswith("; no witness's key given, so one that was signed anew would pass")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (seen(HEADS[1], 60), "(4 to 9; those in front were seen by 1970-01-01T00:01:00Z)"),
        (HEADS[1], "(4 to 9; no witness says by when those in front were seen)"),
    ],
    ids=["seen", "unseen"],
)
def test_says_how_old_what_lies_in_front_of_an_export_is(
    before: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever makes it could let it begin behind what happened in the time that was asked for."""
    heads = [before, HEADS[2], seen(head(LINES, 10), 120)]
    given = written(tmp_path, LINES[4:], heads, start=start_of(LINES[:4]))
    (tmp_path / "witness.key").write_text(f"{BY}\n", encoding="utf-8")
    assert verifier.main([*given, "--witness-key", str(tmp_path / "witness.key")]) == 0
    assert f"OK 6 events {said} under 3 checkpoints" in capsys.readouterr().out
