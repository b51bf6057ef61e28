"""Disks that are really full: a limit on this process's files, and a small file system of its own."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """The system lets no file of this process grow beyond that: what does not fit is left out of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Disk:
    """A file system of so many MiB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, free: int) -> None:
        """Fill it, or empty it, so that so many bytes are free."""
        ballast = self.folder / "ballast"
        ballast.unlink(missing_ok=True)
        disk = os.statvfs(self.folder)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - free)


@contextlib.contextmanager
def small(folder: Path, *, mib: int) -> Iterator[Disk]:
    """A small disk at that folder."""
    if os.getuid():
        pytest.skip("a disk of its own takes root")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
