"""Loopback ports: that one is free, and which one is."""

from __future__ import annotations

import os
import socket


class PortTaken(RuntimeError):
    """Something else listens on a port that the stack needs."""


class NoPort(ValueError):
    """PORT is not the number of a port that anybody may listen on."""


def asked() -> int | None:
    """The port that PORT asks for; None where it asks for none, NoPort where it is none."""
    text = os.environ.get("PORT", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise NoPort(f"PORT={text} is no port: choose a number from 1 to 65535")
    return int(text)


def require_free(port: int, *, what: str) -> None:
    """Raise `PortTaken` when something listens on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise PortTaken(
                f"port {port}, where {what} should listen, is taken: stop what uses it, "
                "or choose another with PORT="
            ) from None


def free_port(preferred: int) -> int:
    """The preferred loopback port, or any free one."""
    for candidate in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PortTaken("no loopback port is free")
