"""Loopback ports for programs that must be told theirs before they listen."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from typing import Final

from devstack import ports

_FIRST: Final = 12_000
_EACH: Final = 1_000


def _candidates() -> Iterator[int]:
    """Of this worker alone, and below the range from which the system gives ports to connections: between the
    choice and the moment when the program listens, nobody else is given it.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
    begin = os.getpid() % _EACH  # another run on the same machine begins elsewhere
    for number in itertools.count(begin):
        yield _FIRST + worker * _EACH + number % _EACH


_of_this_worker: Final = _candidates()


def free() -> int:
    """One on which nobody listens."""
    for port in itertools.islice(_of_this_worker, _EACH):
        with contextlib.suppress(ports.PortTaken):
            ports.require_free(port, what="a test's program")
            return port
    raise OSError("no loopback port is free")
