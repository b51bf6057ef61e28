"""`make verify`: the ledger's invariants in the database, and the audit log as an outsider checks it."""

from __future__ import annotations

import subprocess
import sys

from devstack import auditor, kept, users
from devstack import layout as layouts
from devstack.commands import Commands
from devstack.environment import Environment
from devstack.layout import HOME
from devstack.tokens import TRUSTED_PYTHON


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
    seen, reach = auditor.memories(where, own=environment.audit_origin)
    books = commands.manage("verify_ledger")
    exported = commands.manage("export_audit", str(folder), "--reach", str(reach))
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
            *(*seen, *auditor.lines(where)),
        ],
        check=False,
        cwd=HOME,
    )
    print(f"what the lines of signers, approver and vault say: {where.shown()}/auditor/words.txt")
    return verdict.returncode
