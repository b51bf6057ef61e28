"""The journal's file: each line is in it whole or not at all, and a freeze always finds room."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from itertools import islice
from pathlib import Path
from typing import Final

from custody.signer.refusals import Refused

RESERVE_BYTES: Final = 256 * 1024
RESERVE_STEP_BYTES: Final = 4096
ROOM_BYTES_MIN: Final = 8 * 1024 * 1024  # below it nothing is signed
LANE_ROOM_BYTES_MIN: Final = 4 * ROOM_BYTES_MIN  # and below this, nothing that nobody approved


class MemoryInUse(RuntimeError):
    """Another process has this signer's state folder open."""


class File:
    """The open file, and beside it a reserve: blocks that others on this disk cannot fill."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._new = folder / "journal.jsonl", folder / "journal.new"
        self._reserve = folder / "reserve"
        self._heads: dict[Path, tuple[int, str]] = {}  # files before: the first line, and the hash before it
        self.open()
        reserve = os.open(self._reserve, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):  # then as much as there is
            os.posix_fallocate(reserve, 0, RESERVE_BYTES)
        os.close(reserve)

    def open(self) -> None:
        """Hold the file; MemoryInUse."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._whole: int | None = None  # its size before a line that failed and could not be cut off
        self._writes, self._synced = 1, 0  # nobody knows what the process before left
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(self._descriptor), self._path.stat()):
                raise BlockingIOError  # another has begun a new file meanwhile
        except OSError:
            self.close()
            raise MemoryInUse(f"another signer has {self._path.parent} open") from None

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def draft(self, state: bytes) -> None:
        """The most of a state, before it has its name. Refused where there is no room."""
        self.check_room(more=len(state))
        os.close(_written(self._path.with_name("checkpoint.new"), state))

    def prepare(self, line: bytes, digest: str, rest: bytes, *, ends: tuple[int, str]) -> int:
        """A new file that begins with this line, and the state that it names; the old one stays, too."""
        draft = self._path.with_name("checkpoint.new")
        os.close(_written(draft, rest, more=True))
        draft.replace(self._state(digest))
        with contextlib.suppress(FileExistsError):  # by an attempt that stopped here
            self._older(*ends).hardlink_to(self._path)
        self.sync_folder()
        return _written(self._new, line)

    def turn_to(self, new: int) -> None:
        """Go on in it. One of both is the journal whenever this stops; after OSError nobody knows which."""
        fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._new.replace(self._path)
        os.dup2(new, self._descriptor, inheritable=False)
        os.close(new)
        self.sync_folder()

    def sync_folder(self) -> None:
        """The names of all files on the disk."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def tidy(self, digest: str) -> None:
        """Remove every state but that one."""
        for path in self._path.parent.glob("checkpoint-*.jsonl"):
            if path != self._state(digest):
                path.unlink()

    def state(self, digest: str) -> bytes:
        """What was kept under that name; nothing where it is missing."""
        path = self._state(digest)
        return path.read_bytes() if path.exists() else b""

    def older(self, start: int, end: int, *, behind: tuple[int, str]) -> list[bytes]:
        """Lines of the file that has line `start`, of those before the one that begins behind there."""
        first, before = behind
        while start < first:
            until, path = first, self._older(first, before)
            if path not in self._heads:
                if not path.exists():
                    raise Refused("SIGNER_BAD_REQUEST", f"{path.name} was taken from this disk")
                with path.open("rb") as file:
                    head = json.loads(file.readline())
                self._heads[path] = min(head["n"], first - 1), head["prev"]
            first, before = self._heads[path]
        with path.open("rb") as file:
            return [line[:-1] for line in islice(file, start - first, min(end, until) - first)]

    def _older(self, lines: int, last: str) -> Path:
        return self._path.with_name(f"journal-{lines}-{last[:16]}.jsonl")

    def _state(self, digest: str) -> Path:
        return self._path.with_name(f"checkpoint-{digest[:16]}.jsonl")

    def put_aside(self, at_ms: int) -> None:
        """Begin a new file; the old one stays under another name."""
        self._path.rename(self._path.with_name(f"journal.{at_ms}.aside"))
        self.close()
        self.open()

    def read(self) -> tuple[bytes, int]:
        """Every whole line, and how many bytes of a torn one were cut off: nobody was answered for it."""
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if torn := len(data) - len(whole):
            os.ftruncate(self._descriptor, len(whole))
        return whole, torn

    def between(self, start: int, end: int) -> bytes:
        """These bytes of it."""
        return os.pread(self._descriptor, end - start, start)

    def append(self, line: bytes, *, synced: bool, stops: bool) -> None:
        """The whole line, or OSError and nothing of it. What stops something takes of the reserve."""
        try:
            self._append(line, synced=synced)
        except OSError:
            if not stops:
                raise
            os.truncate(self._reserve, max(0, self._reserve.stat().st_size - RESERVE_STEP_BYTES))
            self._append(line, synced=synced)

    def _append(self, line: bytes, *, synced: bool) -> None:
        if self._whole is not None:
            os.ftruncate(self._descriptor, self._whole)
        self._whole = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError("the line was not written whole")
            self._writes += 1
            if synced:
                self.sync()
        except OSError:
            os.ftruncate(self._descriptor, self._whole)
            self._whole = None
            raise
        self._whole = None

    def sync(self) -> None:
        """Every line on the disk, whoever writes more meanwhile. A disk that fails says so once."""
        if (upto := self._writes) > self._synced:
            os.fdatasync(self._descriptor)  # the bytes and the size; when it was changed says nothing
            self._synced = upto

    def check_room(self, *, unattended: bool = False, more: int = 0) -> None:
        """Refuse while the disk is nearly full: first what nobody approved, then all but officers' orders."""
        disk = os.fstatvfs(self._descriptor)
        free = disk.f_bavail * disk.f_frsize
        if free < more + (LANE_ROOM_BYTES_MIN if unattended else ROOM_BYTES_MIN):
            raise Refused("SIGNER_DISK_FULL", f"{free} bytes are left where the journal is")


def _written(path: Path, data: bytes, *, more: bool = False) -> int:
    """A new file with this in it, or one with more in it, on the disk, open to append to."""
    how = os.O_APPEND if more else os.O_APPEND | os.O_CREAT | os.O_TRUNC
    descriptor = os.open(path, os.O_RDWR | how, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        os.close(descriptor)
        path.unlink()
        raise
    return descriptor
