"""Start a regtest node as a process of its own and stop it again: for tests and scripts."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NodeDidNotStart(RuntimeError):
    """The node process ended before it was ready; the text is what it printed."""


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The URL of a node whose state is below the folder; it stops at the end of the block, the state
    stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_hex(16)
    password_file = folder / "rpc-password"
    password_file.write_text(password)
    command = [
        sys.executable,
        "-m",
        "devstack.standins.regtest",
        "--folder",
        str(folder / "chain"),
        "--port",
        "0",
    ]
    with subprocess.Popen(
        [*command, "--password-file", str(password_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.search(r" on ([\d.]+:\d+) ", line)
            if found is None:
                process.kill()
                raise NodeDidNotStart(line + process.stdout.read())
            yield f"http://countersign:{password}@{found[1]}"
        finally:
            process.terminate()
