"""The audit log's witnesses, each answering on a socket of its own, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from core.audit import sealing, witnesses
from core.audit.witness import Server, Witness
from kernel import note
from tests.actions.test_core_audit_sealing import seal_all

ORIGIN: Final = "countersign/test/audit"


@contextmanager
def watching(
    folder: Path, log: note.Verifier, *, kinds: tuple[type[Witness], ...] = (Witness, Witness)
) -> Iterator[list[witnesses.Witness]]:
    """Two witnesses, each answering on a socket of its own."""
    found, servers = [], []
    for number, kind in enumerate(kinds, 1):
        one = kind(name=f"witness.example/{number}", logs=[log], state=folder / f"w{number}")
        path = folder / f"w{number}.sock"
        server = Server(path, one)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        found.append(witnesses.Witness(one.cosigner, path))
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


def seal(log: tuple[note.Verifier, sealing.Seal], now: datetime) -> None:
    seal_all(log[1], now=now)
