"""Starting a trusted program: hardened, a secret from standard input, files that are whole or not there."""

from __future__ import annotations

import ctypes
import getpass
import os
import resource
import sys
from pathlib import Path
from typing import Final

PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


class NoSecret(RuntimeError):
    """Standard input ended without the secret; it is never taken from arguments or the environment."""


def harden() -> None:
    """No core dumps, no debugger of the same user: the secret stays in this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError("prctl(PR_SET_DUMPABLE) failed")


def read_secret(name: str) -> str:
    """One line of standard input, not echoed at a terminal."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    secret = sys.stdin.readline().rstrip("\n")
    if not secret:
        raise NoSecret(f"give the {name} as one line on standard input")
    return secret


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write the whole file durably, or leave the old one."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Names in the folder survive a crash."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
