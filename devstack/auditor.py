"""What an auditor is handed: each witness's key and memory, and the lines that trusted programs wrote."""

from __future__ import annotations

from pathlib import Path

from core.audit.witness import seen_path
from devstack.layout import Layout
from devstack.users import WITNESSES
from kernel import note


def watched(where: Layout) -> list[str]:
    """The names of the trusted programs' logs."""
    lines = where.watched_logs.read_text(encoding="utf-8").splitlines()
    return [note.Verifier.parse(line.split()[0]).name for line in lines if line.strip()]


def memories(where: Layout, *, own: str) -> tuple[list[str], int]:
    """The verifier's arguments for what each witness says of itself, of every log, and how far the audit log
    must reach for it. Asked for before an export: what they saw by then must be in it.
    """
    desk = where.var / "auditor"
    desk.mkdir(exist_ok=True)
    arguments, reach = [], 0
    for name in WITNESSES:
        folder = where.witness(name)
        found = {log: seen_path(folder, log).read_text(encoding="ascii").strip() for log in _seen(where, own)}
        reach = max(reach, int(found[own].split()[0]))
        key, seen = desk / f"{name}.key.txt", desk / f"{name}.seen.txt"
        key.write_text((folder / "key.txt").read_text(encoding="utf-8"), encoding="utf-8")
        seen.write_text("".join(f"{said} {log}\n" for log, said in found.items()), encoding="utf-8")
        arguments += ["--witness-key", str(key), "--witness", str(seen)]
    return arguments, reach


def note_cold(where: Layout, key: str) -> None:
    """Write down the key of a cold signer's log, as its ceremony does: no witness sees that log."""
    noted = _cold_keys(where)
    noted.parent.mkdir(exist_ok=True)
    known = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
    if key not in known:
        noted.write_text("".join(f"{one}\n" for one in [*known, key]), encoding="utf-8")


def lines(where: Layout) -> list[str]:
    """The verifier's arguments for the logs of trusted programs, as those who look after these hand them out,
    those of cold signers as they are carried, and for what is written of them in words. Asked for after an
    export: what it says must be in them.
    """
    noted = _cold_keys(where)
    keys = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
    logs = [*watched(where), *(note.Verifier.parse(key).name for key in keys)]
    cold = ["--cold-keys", str(noted)] if keys else []
    told = ["--words", str(words(where))]
    return [*(word for log in logs for word in ("--lines", log, str(_place(where, log)))), *cold, *told]


def words(where: Layout) -> Path:
    """What those lines say, in plain words."""
    return where.var / "auditor" / "words.txt"


def _cold_keys(where: Layout) -> Path:
    return where.var / "auditor" / "cold.keys"


def _seen(where: Layout, own: str) -> list[str]:
    return [own, *watched(where)]


def _place(where: Layout, log: str) -> Path:
    program = log.rpartition("/")[2]
    if "/signer/" in log:
        return where.signer_state(log.partition("/signer/")[2].partition("/")[0])
    return {"approver": where.var / "approver", "vault": where.vault}[program]
