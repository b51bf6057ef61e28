"""The last step: the books, and the audit log as an outsider checks it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from devstack.demo.scene import Scene
from devstack.demo.story import Story
from devstack.environment import HOME
from devstack.tokens import TRUSTED_PYTHON


def run(story: Story, scene: Scene) -> None:
    """Ledger invariants, then the offline verifier over an export, then one flipped byte."""
    story.step("The books and the audit log are checked; one flipped byte is found")
    story.expect(scene.books_are_sound(), "every invariant of the ledger holds")
    folder = scene.stack.environment.layout.var / "worker" / "export"
    sealed = scene.stack.manage("export_audit", str(folder))
    story.expect(sealed.returncode == 0, "the audit log is exported", found=sealed.stderr[-400:])
    events = folder / "events.jsonl"
    lines = events.read_bytes().splitlines()
    story.proof("sealed events", len(lines))
    verdict = _verify(folder, events)
    story.expect(verdict.returncode == 0, "the offline verifier, without Django or database, finds it whole")
    story.says("verifier", verdict.stdout.strip().splitlines()[-1])
    bad = folder / "flipped.jsonl"
    place = len(lines) // 2
    flipped = bytearray(events.read_bytes())
    at = sum(len(line) + 1 for line in lines[:place]) + lines[place].index(b'"action":"') + len(b'"action":"')
    flipped[at] ^= 0x01
    bad.write_bytes(flipped)
    verdict = _verify(folder, bad)
    action = json.loads(lines[place])["action"]
    story.expect(verdict.returncode == 1, f"with one bit of event {place} ({action}) flipped, it fails")
    story.says("verifier", (verdict.stdout + verdict.stderr).strip().splitlines()[-1])


def _verify(folder: Path, events: Path) -> subprocess.CompletedProcess[str]:
    command = [str(TRUSTED_PYTHON), "-m", "core.audit.verifier", str(events)]
    command += ["--checkpoints", str(folder / "checkpoints.txt"), "--key", str(folder / "key.txt")]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=HOME)
