"""The last step: the books, and the audit log as an outsider checks it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from devstack import auditor
from devstack.demo.scene import Scene
from devstack.demo.story import Story
from devstack.layout import HOME, Layout
from devstack.tokens import TRUSTED_PYTHON


def run(story: Story, scene: Scene) -> None:
    """Ledger invariants, then the offline verifier over an export, then one flipped byte."""
    story.step("The books and the audit log are checked; one flipped byte is found")
    story.expect(scene.books_are_sound(), "every invariant of the ledger holds")
    where = scene.stack.environment.layout
    folder = where.var / "worker" / "export"
    witnesses, reach = auditor.memories(where, own=scene.stack.environment.audit_origin)
    sealed = scene.stack.manage("export_audit", str(folder), "--reach", str(reach))
    story.expect(sealed.returncode == 0, "the audit log is exported", found=sealed.stderr[-400:])
    events = folder / "events.jsonl"
    lines = events.read_bytes().splitlines()
    story.proof("sealed events", len(lines))
    is_whole = any(b'"action":"custody.refill' in line for line in lines)
    story.expect(is_whole, "the acts of a moment ago are among them")
    logs = ("--logs", str(folder / "logs.txt"), "--log-keys", str(where.watched_logs), *auditor.lines(where))
    verdict = _verify(folder, events, *witnesses, *logs)
    story.expect(
        verdict.returncode == 0,
        "the offline verifier, without Django or database, finds it whole, with the keys and memories of two "
        "witnesses, and every line of signers, approver and vault, whose deeds it knows",
        found=verdict.stdout + verdict.stderr,
    )
    for said in verdict.stdout.strip().splitlines():
        story.says("verifier", said)
    _signers_line(story, where, folder, events, *witnesses, *logs)
    _cut_back(story, folder, witnesses)
    bad = folder / "flipped.jsonl"
    place = len(lines) // 2
    flipped = bytearray(events.read_bytes())
    at = sum(len(line) + 1 for line in lines[:place]) + lines[place].index(b'"action":"') + len(b'"action":"')
    flipped[at] ^= 0x01
    bad.write_bytes(flipped)
    verdict = _verify(folder, bad, *witnesses)
    action = json.loads(lines[place])["action"]
    story.expect(verdict.returncode == 1, f"with one bit of event {place} ({action}) flipped, it fails")
    story.says("verifier", (verdict.stdout + verdict.stderr).strip().splitlines()[-1])


def _signers_line(story: Story, where: Layout, folder: Path, events: Path, *arguments: str) -> None:
    """One line less in a signer's own log: whoever has its disk hides nothing that it signed."""
    log = next(one for one in auditor.watched(where) if "/signer/" in one)
    place = arguments[arguments.index(log) + 1]
    words, cut = auditor.words(where), where.var / "auditor" / "cut.jsonl"
    told = words.read_text(encoding="utf-8").splitlines()
    signed = [line for line in told if line.startswith(f"{log} ") and " signed " in line]
    story.says(log, signed[-1].removeprefix(f"{log} "))
    lines = (Path(place) / "journal.jsonl").read_bytes().splitlines(keepends=True)
    cut.write_bytes(b"".join(line for line in lines if b'"event":"signed"' not in line))
    given = {place: str(cut), str(words): str(words.with_name("cut.txt"))}
    verdict = _verify(folder, events, *(given.get(word, word) for word in arguments))
    story.expect(verdict.returncode == 1, "without the lines of what it signed, a signer's log does not hold")
    story.says("verifier", verdict.stdout.strip().splitlines()[-1])


def _cut_back(story: Story, folder: Path, witnesses: list[str]) -> None:
    """The log as it was at its first checkpoint: every signature holds, and only a witness knows better."""
    older = folder / "older"
    older.mkdir(exist_ok=True)
    head, signatures = (folder / "checkpoints.txt").read_text().split("\n\n")[:2]
    (older / "checkpoints.txt").write_text(f"{head}\n\n{signatures.rstrip()}\n")
    (older / "key.txt").write_text((folder / "key.txt").read_text())
    size = int(head.split("\n")[1])
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)[:size]
    (older / "events.jsonl").write_bytes(b"".join(lines))
    alone = _verify(older, older / "events.jsonl")
    story.expect(alone.returncode == 0, f"cut back to its first {size} events it still verifies by itself")
    memories = [part for part in witnesses if not part.endswith(".key.txt") and part != "--witness-key"]
    verdict = _verify(older, older / "events.jsonl", *memories)
    story.expect(verdict.returncode == 1, "but not against what the witnesses have seen")
    story.says("verifier", verdict.stdout.strip().splitlines()[-1])


def _verify(folder: Path, events: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [str(TRUSTED_PYTHON), "-m", "core.audit.verifier", str(events), *more]
    command += ["--checkpoints", str(folder / "checkpoints.txt"), "--key", str(folder / "key.txt")]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=HOME)
