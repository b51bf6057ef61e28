"""Loopback ports: that one is free, and which one is."""

from __future__ import annotations

import socket


class PortTaken(RuntimeError):
    """Something else listens on a port that the stack needs."""


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
