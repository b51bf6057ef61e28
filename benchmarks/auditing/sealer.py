"""The sealer beside the writers, and alone."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.auditing.writers import rate
from kernel import note


def sealer_alone(reach: list[str], *, look: int, looks: int = 40) -> tuple[float, float]:
    """Microseconds of CPU for each event, in looks at so many: of the sealer's process, of its session."""
    from django.db import connection

    from core.audit import sealing as sealer

    seal = a_seal()
    rate("tripwire", reach, writers=8, seconds=0, count=look * looks // 8)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        session = int(cursor.fetchone()[0])
    costs = []
    gc.freeze()
    with mock.patch.object(sealer, "BATCH", look):
        while True:
            own, server = time.process_time_ns(), on_cpu_ns(session)
            if sealer.seal_next(seal, now=datetime.now(UTC)) < look:
                break
            costs.append((time.process_time_ns() - own, on_cpu_ns(session) - server))
    gc.unfreeze()
    connection.close()
    own, server = (min(found) / look / 1000 for found in zip(*costs, strict=True))
    return own, server


def on_cpu_ns(pid: int) -> int:
    """Nanoseconds for which a process of one thread was on a CPU."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


def a_seal() -> Callable[[int, bytes, object], str]:
    """A notary's signature without the notary."""
    key = Ed25519PrivateKey.generate()
    by = note.Verifier("countersign/bench/audit", key.public_key().public_bytes_raw())

    def seal(size: int, root: bytes, _: object) -> str:
        return note.sign(note.Checkpoint(by.name, size, root).text(), by=by, signer=key.sign)

    return seal


@contextmanager
def sealing() -> Iterator[None]:
    """The sealer at work in this process."""
    from core.audit import sealing as sealer

    seal, stop = a_seal(), threading.Event()

    def run() -> None:
        from django.db import connection

        while not stop.is_set():
            if sealer.seal_next(seal, now=datetime.now(UTC)) < sealer.BATCH:
                stop.wait(sealer.INTERVAL_S)
        connection.close()

    gc.freeze()  # as the sealer's process does
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        gc.unfreeze()


def sealing_interval_s() -> float:
    """How long events wait for a look."""
    from core.audit.sealing import INTERVAL_S

    return INTERVAL_S


def catch_up() -> int:
    """Seal what other variants left behind; how many leaves there are."""
    from core.audit import queries

    with sealing():
        while queries.waiting():
            time.sleep(0.5)
    found = queries.newest_checkpoint()
    return found.size if found else 0
