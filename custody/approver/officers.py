"""The signers' public file on the approver's host: whose passkeys are officers', and what they are called."""

from __future__ import annotations

from pathlib import Path

from kernel.registry import Registry


class Officers:
    """The registry, read again only where its file has changed: anybody may ask, and it takes a while."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, int], Registry] | None = None

    def registry(self) -> Registry:
        """The file as it is now; OSError, NotCanonical or BadRegistry."""
        found = self._path.stat()
        stamp = (found.st_mtime_ns, found.st_ino)
        if self._read is None or self._read[0] != stamp:
            self._read = stamp, Registry.parse(self._path.read_bytes())
        return self._read[1]
