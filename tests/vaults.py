"""The vault of personal data, as tests have it: the real one on a socket, its keys in memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.conf import settings

from core.trusted import serving as sockets
from core.vault.desk import Vault
from core.vault.log import Log

MANY = 1_000_000


@contextmanager
def serving(
    folder: Path,
    *,
    per_actor: int = MANY,
    per_caller: int = MANY,
    clock: Callable[[], float] = time.time,
    workers: Collection[int] = (os.getuid(),),
) -> Iterator[Vault]:
    """A vault that the settings name, and the environment of processes to come."""
    key = X25519PrivateKey.generate()
    log = Log(folder / "openings.jsonl", origin="countersign/test/vault", key=Ed25519PrivateKey.generate())
    alarms: list[str] = []
    vault = Vault(
        key=key,
        log=log,
        clock=clock,
        per_actor=per_actor,
        per_caller=per_caller,
        alarm=alarms.append,
        workers=workers,
        deliveries=MANY,
    )
    public, socket = folder / "vault-key.txt", folder / "vault.sock"
    public.write_text(f"{key.public_key().public_bytes_raw().hex()} {log.verifier}\n")
    listener = sockets.listen(socket)
    told = {"answer": vault.answer, "allowed": [os.getuid()], "log": print}
    threading.Thread(target=sockets.serve, args=[listener], kwargs=told, daemon=True).start()
    before = {name: getattr(settings, name) for name in ("VAULT_KEY_FILE", "VAULT_SOCKET")}
    for name, path in (("VAULT_KEY_FILE", public), ("VAULT_SOCKET", socket)):
        setattr(settings, name, path)
        os.environ[name] = str(path)
    try:
        yield vault
    finally:
        for name, path in before.items():
            setattr(settings, name, path)
