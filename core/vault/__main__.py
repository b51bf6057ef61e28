"""python -m core.vault provision|serve --state DIR --origin LOG …

`provision` makes the vault's two keys once, encrypted under a passphrase (one line on standard input), and
prints the public sealing key and the log's verifier key. `serve --socket PATH --allow-uid N` opens what it is
asked to until a termination signal; until the passphrase is given, nothing opens.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from core.trusted import serving, starting
from core.vault.desk import Vault
from core.vault.log import Log, LogDamaged
from kernel.encodings import plain


class NoKey(RuntimeError):
    """A key's file is missing, or the passphrase is another."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _log(line: str) -> None:
    print(f"vault {plain(line)}", flush=True)


def provision(state: Path, passphrase: bytes) -> None:
    """Both keys, where they are missing."""
    for name, key in (
        ("key.pem", X25519PrivateKey.generate()),
        ("log-key.pem", Ed25519PrivateKey.generate()),
    ):
        if not (state / name).exists():
            pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(passphrase),
            )
            starting.replace(state / name, pem, mode=0o400)


def keys(state: Path, passphrase: bytes) -> tuple[X25519PrivateKey, Ed25519PrivateKey]:
    """The key that opens, and the log's; NoKey."""
    try:
        sealing, signing = (
            serialization.load_pem_private_key((state / name).read_bytes(), password=passphrase)
            for name in ("key.pem", "log-key.pem")
        )
    except (OSError, ValueError) as error:
        raise NoKey(str(error)) from None
    if not isinstance(sealing, X25519PrivateKey) or not isinstance(signing, Ed25519PrivateKey):
        raise NoKey("the files hold other keys")
    return sealing, signing


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(
        prog="core.vault", description="Open personal data, and keep a log of it."
    )
    parser.add_argument("verb", choices=("provision", "serve"))
    parser.add_argument("--state", type=Path, required=True, help="the vault's own folder")
    parser.add_argument("--origin", required=True, help="the name of its log")
    parser.add_argument("--socket", type=Path, help="where to listen")
    parser.add_argument("--allow-uid", type=int, action="append", default=[], help="who may ask")
    parser.add_argument("--worker-uid", type=int, action="append", default=[], help="who opens deliveries")
    parser.add_argument("--deliveries-per-worker", type=int, default=3000, help="an hour")
    parser.add_argument("--people-per-actor", type=int, default=60, help="an hour")
    parser.add_argument("--people-per-caller", type=int, default=300, help="an hour")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    starting.harden()
    try:
        passphrase = starting.read_secret("passphrase").encode()
        if options.verb == "provision":
            provision(options.state, passphrase)
        key, signing = keys(options.state, passphrase)
        log = Log(options.state / "openings.jsonl", origin=options.origin, key=signing)
        if options.verb == "provision":
            print(key.public_key().public_bytes_raw().hex(), log.verifier)
            return 0
        if log.cut:
            _log(f"cut {log.cut} bytes of a line that was never finished, and never answered for")
        listener = serving.listen(options.socket)
    except (NoKey, LogDamaged, starting.NoSecret, OSError, ValueError) as error:
        _log(f"cannot start: {error}")
        return 1
    vault = Vault(
        key=key,
        log=log,
        clock=time.time,
        per_actor=options.people_per_actor,
        per_caller=options.people_per_caller,
        alarm=lambda line: _log(f"ALARM {line}"),
        workers=options.worker_uid,
        deliveries=options.deliveries_per_worker,
    )
    _log(f"ready socket={options.socket} lines={log.tree.size}")
    try:
        serving.serve(listener, answer=vault.answer, allowed=options.allow_uid, log=_log)
    finally:
        listener.close()
        options.socket.unlink(missing_ok=True)
        vault.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
