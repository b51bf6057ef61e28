"""A head of the audit log, or of a trusted program's …"""

import os
import socket
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import clock
from core.actor import Actor
from core.audit import cosigned, cosigning, exporting, sealing, sources, witnesses
from core.audit.heads import verify_heads
from core.audit.models import AuditCosignature
from core.audit.sources import OwnLog, ProgramsLog
from core.audit.witness import Answer, Witness
from core.trusted import serving
from core.vault.log import Log
from kernel import cosignature, note
from tests.actions.test_core_audit_sealing import do
from tests.auditing import ORIGIN, seal, watching


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
        # Somebody keeps what it said, so that it looks fresh for good: it is asked again, and not believed.
        told: list[str] = []
        patch.setattr(OwnLog, "give", lambda _, cosigned: told.append(cosigned))
        row = AuditCosignature.objects.get()
        signed = asked[0].cosigner.name
        text = row.note.rpartition("\n\n")[0] + "\n"
        key = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
        row.pk, row.witness, row.at = None, signed, clock.now()
        liar = cosignature.Cosigner(signed, key.public_key().public_bytes_raw())
        row.line = cosignature.cosign(text, by=liar, signer=key.sign, at=at)
        row.save()
        again = [witnesses.Witness(liar, asked[0].socket), asked[1]]
        assert cosigning.collect(OwnLog(log[0]), again, now=clock.now() + cosigning.AGAIN_AFTER) == 1
    assert liar.name not in told[0]


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


def test_is_shown_with_every_true_cosignature_whatever_rows_say(
    real_database: str, now: datetime, tmp_path: Path, settings: Any
) -> None:
    """Whoever has the worker's role writes rows about a signer's log, too."""
    kept = Log(tmp_path / "lines.jsonl", origin="countersign/vault", key=Ed25519PrivateKey.generate())
    kept.add({"v": 1})
    settings.WATCHED_LOGS_FILE = tmp_path / "watched.txt"
    settings.WATCHED_LOGS_FILE.write_text(f"{kept.verifier} {tmp_path / 'vault.sock'}\n")
    signed = str((kept.answer({"v": 1, "type": "log_head"}) or {})["note"])

    class Shown(OwnLog):
        def head(self) -> str:
            return signed

    with watching(tmp_path, kept.verifier) as asked:
        by = [one.cosigner for one in asked]
        assert cosigning.collect(Shown(kept.verifier), asked, now=clock.now()) == 2
    honest = list(exporting.other_heads(by))
    assert len(honest) == 1
    row = AuditCosignature.objects.filter(witness=by[0].name)[0]
    true, size = row.line, row.size
    text, separator, own = signed.partition("\n\n")
    noisy = text + separator + own[:-9] + "AAAAAAA=\n"
    for number, changed in enumerate(
        (
            {"witness": "nobody.example"},
            {"note": noisy},
            {"note": "no note"},
            {"line": true[:-8] + "AAAAAAA="},
            {"size": 900},
        ),
        1,
    ):
        row.pk, row.witness, row.note, row.line, row.size = None, by[0].name, signed, true, size
        row.at = clock.now() + timedelta(hours=number)
        for name, value in changed.items():
            setattr(row, name, value)
        row.save()
    assert list(exporting.other_heads(by)) == honest
    assert list(exporting.other_heads([])) == []
    kept.close()


def test_carries_the_heads_of_trusted_programs_and_brings_them_back(
    real_database: str, now: datetime, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault's log here; signers and the approver speak the same. An export holds older heads, too."""
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
        settings.WATCHED_LOGS_FILE = tmp_path / "watched.txt"
        settings.WATCHED_LOGS_FILE.write_text(f"{kept.verifier} {tmp_path / 'vault.sock'}\n")
        for count in (1, 5):
            for _ in range(count):
                kept.add({"v": 1})
            assert cosigning.collect(source, asked, now=clock.now()) == 2
            for shown in (told[-1], "\n".join(exporting.other_heads([w.cosigner for w in asked]))):
                heads = verify_heads(shown, keys=[kept.verifier], cosigners=[w.cosigner for w in asked])
                assert heads[0][0].size == kept.tree.size
        sizes = [text.split("\n")[1] for text in exporting.other_heads([w.cosigner for w in asked])]
        assert sizes == ["0", "1", "6"]
        for newest, further, kept_sizes in ((1, 0, ["1", "6"]), (1, 1, ["0", "1", "6"])):
            monkeypatch.setattr(cosigned, "NEWEST", newest)
            monkeypatch.setattr(cosigned, "FURTHER", further)
            texts = exporting.other_heads([w.cosigner for w in asked])
            assert [text.split("\n")[1] for text in texts] == kept_sizes
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
