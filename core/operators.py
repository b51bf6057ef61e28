"""Whoever types one of our commands on a host: no identity of ours, but the host knows them."""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import replace
from pathlib import Path
from typing import Final

from core.actor import Actor, system

_LOGIN: Final = Path("/proc/self/loginuid")
_NOBODY: Final = 2**32 - 1
_SUBJECT_MAX: Final = 200


def operator(command: str) -> Actor:
    """That command as an actor, with who came in on this host, as whom it runs, and where.

    The kernel keeps who came in: it stays the same through `su` and `sudo`, and without rights of their own
    nobody changes it. Whoever is root there can, and is kept out by other means.
    """
    came_in = _came_in()
    who = f"{_name(came_in)} as {_name(os.getuid())}" if came_in is not None else _name(os.getuid())
    return replace(system(command), subject=f"{who} on {socket.gethostname()}"[:_SUBJECT_MAX])


def _came_in() -> int | None:
    """None where nobody did: a service's own process, or a kernel that does not say."""
    try:
        found = int(_LOGIN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if found == _NOBODY else found


def _name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return str(uid)
