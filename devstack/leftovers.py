"""What an earlier stack left behind. One that was killed outright has processes that are still ending: they
hold its database, its journals and its ports, and a start that runs into them fails for no good reason.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from devstack.layout import Layout

WAIT_S: Final = 60.0
_LOOK_S: Final = 0.05


class StillEnding(RuntimeError):
    """Processes of an earlier stack run on this state and do not end; the text names them."""


def claim(where: Layout, *, tell: Callable[[str], None], within_s: float = WAIT_S) -> IO[bytes]:
    """Wait until nothing of an earlier stack runs on this state; `tell` hears what is waited for.

    The returned file is for every process of the next stack to inherit: the kernel keeps its lock for as
    long as one of them, or a child that it forked, is there. Nobody can write through it.
    """
    path = where.var / "running"
    path.touch()
    file = path.open("rb")
    deadline, is_told = time.monotonic() + within_s, False
    while named := ", ".join(_left(where, file)):
        if time.monotonic() > deadline:
            file.close()
            raise StillEnding(
                f"an earlier stack on {where.shown()} was killed, and after {within_s:.0f} s this is still "
                f"there: {named}. End it with kill -9, then try again."
            )
        if not is_told:
            tell(f"An earlier stack was killed; waiting until what it left has ended: {named}")
            is_told = True
        time.sleep(_LOOK_S)
    return file


def _left(where: Layout, file: IO[bytes]) -> list[str]:
    """Who is still there; nobody once the lock is ours."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return list(_holders(file)) or ["a process of another user"]
    return list(_uncollected(where))


def _uncollected(where: Layout) -> Iterator[str]:
    """PostgreSQL where it has ended and init has yet to collect it: the next one takes its number, which
    stands in the lock file, for a server at work.
    """
    with suppress(OSError, ValueError):
        number = int((where.var / "postgres" / "postmaster.pid").read_text().partition("\n")[0])
        if Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].startswith("Z"):
            yield f"postgres ({number}), which has ended and is still to be collected"


def _holders(file: IO[bytes]) -> Iterator[str]:
    """The processes that have it open, by name and number, as far as we may see."""
    wanted = os.fstat(file.fileno())
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with suppress(OSError):  # it ended meanwhile, or is not ours to look into
            if any(os.path.samestat(wanted, each.stat()) for each in (process / "fd").iterdir()):
                yield f"{(process / 'comm').read_text().strip()} ({process.name})"
