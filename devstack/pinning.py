"""`python -m devstack.pinning SOCKET...`: the verifier key of the log behind each socket, one line each.

Run as the user whom those programs answer. A real deployment takes the keys from the ceremony's record; here
they are taken once, when the stack is first started, and any other key is refused from then on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from core.trusted import serving
from devstack.commands import Commands
from devstack.layout import HOME, Layout
from devstack.supervisor import StartFailed
from kernel import note


def pin(commands: Commands, sockets: Sequence[Path]) -> None:
    """Write `watched-logs.txt`, or hold the programs to what stands there."""
    where: Layout = commands.environment.layout
    python = str(HOME / ".venv" / "bin" / "python")
    done = commands.run_as("cs-worker", python, "-m", "devstack.pinning", *map(str, sockets))
    if done.returncode:
        raise StartFailed(f"the trusted programs' logs could not be asked:\n    {done.stderr.strip()[-800:]}")
    known = where.watched_logs.read_text().splitlines() if where.watched_logs.exists() else []
    pinned = {line.partition("+")[0]: line for line in known}
    for line in done.stdout.splitlines():
        before = pinned.setdefault(line.partition("+")[0], line)
        if before != line:
            raise StartFailed(f"a log has another key than at the first start: {line}, not {before}")
    where.watched_logs.write_text("".join(f"{line}\n" for line in pinned.values()))


def main() -> None:
    """Run as a program."""
    for argument in sys.argv[1:]:
        answer = serving.ask(Path(argument), {"v": 1, "type": "log_head"}, patience_s=10)[0]
        print(note.Verifier.parse(str(answer["key"])), argument)


if __name__ == "__main__":
    main()
