"""Where the engine listens, and what a client shows there: `unix:PATH`, or `tls://HOST:PORT?papers=FOLDER`.

Over TCP both sides show certificates, and the engine knows a client by the name in its own: orders,
transfers and administration are three folders. Files are read for each connection, so certificates are
renewed without a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

AUTHORITY: Final = "ca.pem"
CERTIFICATE: Final = "cert.pem"
KEY: Final = "key.pem"


class BadTarget(ValueError):
    """The setting names no place where an engine can be."""


@dataclass(frozen=True, slots=True)
class Door:
    """A TCP address, and the folder with `ca.pem`, `cert.pem` and `key.pem`."""

    host: str
    port: int
    papers: Path

    @property
    def address(self) -> str:
        """HOST:PORT, brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def read(self, name: str) -> bytes:
        """One of the files. OSError."""
        return (self.papers / name).read_bytes()


def door(target: str) -> Door | None:
    """The TCP address in a target; None for a unix socket. BadTarget where it is neither.

    There is no TCP without certificates: whoever could reach such a port could trade for everybody.
    """
    if target.startswith("unix:"):
        return None
    parts = urlsplit(target)
    folder = parse_qs(parts.query).get("papers", [""])[-1]
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "tls" or not parts.hostname or not port or not folder:
        raise BadTarget(
            f"{target} is no place of an engine: unix:PATH, or tls://HOST:PORT?papers=FOLDER with "
            f"{AUTHORITY}, {CERTIFICATE} and {KEY} in it. Nothing was sent; docs/configuration.md says more"
        )
    return Door(parts.hostname, port, Path(folder))
