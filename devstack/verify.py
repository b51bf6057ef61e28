"""`make verify`: the ledger's invariants in the database, and the audit log as an outsider checks it."""

from __future__ import annotations

import subprocess
import sys

from core.audit.witness import seen_path
from devstack import kept, users
from devstack import layout as layouts
from devstack.commands import Commands
from devstack.environment import Environment
from devstack.layout import HOME, Layout
from devstack.tokens import TRUSTED_PYTHON


def _witness(where: Layout, name: str, origin: str) -> list[str]:
    """The verifier's arguments for what a witness says of itself."""
    folder, copy = where.witness(name), where.var / f"{name}.seen.txt"
    copy.write_text(seen_path(folder, origin).read_text())
    return ["--witness-key", str(folder / "key.txt"), "--witness", str(copy)]


def run() -> int:
    """Check a stack that is running on this state; exit code 0 only if everything holds."""
    where = layouts.layout()
    if not (where.secrets / "stack.json").exists():
        print(f"there is no stack in {where.shown()} yet: start one with make run", file=sys.stderr)
        return 1
    if not layouts.is_locked(where):
        print(f"no stack is running on {where.shown()}: start it with make run", file=sys.stderr)
        return 1
    environment = Environment(where, kept.load_secrets(where, port=None))
    commands = Commands(environment, users.prepare())
    folder = where.var / "worker" / "export"
    # What witnesses saw before the export must be in it.
    seen = [word for name in users.WITNESSES for word in _witness(where, name, environment.audit_origin)]
    books = commands.manage("verify_ledger")
    exported = commands.manage("export_audit", str(folder))
    for done in (books, exported):
        if done.returncode:
            print((done.stderr or done.stdout).strip()[-2000:], file=sys.stderr)
            print("nothing was verified", file=sys.stderr)
            return 1
    print(books.stdout.strip())
    # Another program, without Django and without the database, judges the export.
    verdict = subprocess.run(
        [
            *(str(TRUSTED_PYTHON), "-m", "core.audit.verifier", str(folder / "events.jsonl")),
            *("--checkpoints", str(folder / "checkpoints.txt"), "--key", str(folder / "key.txt")),
            *("--logs", str(folder / "logs.txt"), "--log-keys", str(where.watched_logs)),
            *seen,
        ],
        check=False,
        cwd=HOME,
    )
    return verdict.returncode
