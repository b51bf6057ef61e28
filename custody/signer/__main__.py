"""python -m custody.signer --token hot-1 --registry FILE --socket PATH --state DIR --module LIB --allow-uid N

Serves one token on a unix socket until a termination signal. It starts locked: an operator types the PIN at
the terminal, or enters it later with `custody.signer.ask --socket PATH unlock`. A supervisor may hand it over
as one line on standard input; it is never taken from an argument, the environment or a file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType

from custody.signer import server, starting, succession
from custody.signer.disk import MemoryInUse
from custody.signer.locked import Door
from custody.signer.refusals import Refused
from custody.signer.session import WrongPin, WrongToken
from kernel.seats import Seats


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="custody.signer", description="Serve one token on a unix socket.")
    starting.add_arguments(parser)
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--allow-uid", type=int, action="append", required=True, help="who may ask")
    parser.add_argument("--attest-uid", type=int, action="append", default=[], help="who may only attest")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    starting.harden()

    def log(line: str) -> None:
        print(f"signer {options.token} {line}", flush=True)

    peers = Seats[socket.socket](threading.RLock(), threading.Condition)
    door = Door(options, own_user=os.getuid(), log=log, aside=peers.aside)
    try:
        succession.read(options.registry)
        with contextlib.suppress(starting.NoPin):
            door.open(starting.read_pin())
    except (Refused, WrongToken, MemoryInUse, OSError) as error:
        if not isinstance(error, WrongPin) and getattr(error, "code", "") != "SIGNER_PIN_REFUSED":
            log(f"cannot start: {error}")
            return 1
        log(f"locked: {error}")
    try:
        listener = server.listen(options.socket)
    except OSError as error:
        log(f"cannot start: {error}")
        return 1
    log(f"{'ready' if door.signer else 'locked'} socket={options.socket} {door.standing()}".strip())
    try:
        server.serve(listener, answer=door.answer, allowed=door.users, log=log, peers=peers)
    finally:
        listener.close()
        options.socket.unlink(missing_ok=True)
        door.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
