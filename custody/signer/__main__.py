"""python -m custody.signer --token hot-1 --registry FILE --socket PATH --state DIR --module LIB --allow-uid N

Serves one token on a unix socket until a termination signal; the PIN is one line on standard input.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from pathlib import Path
from types import FrameType

from custody.signer import server, starting
from custody.signer.journal import MemoryInUse
from custody.signer.refusals import Refused
from custody.signer.tokens import WrongToken


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="custody.signer", description="Serve one token on a unix socket.")
    starting.add_arguments(parser)
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--allow-uid", type=int, action="append", required=True, help="who may ask")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    starting.harden()

    def log(line: str) -> None:
        print(f"signer {options.token} {line}", flush=True)

    try:
        signer = starting.start(options)
        listener = server.listen(options.socket)
    except (Refused, WrongToken, MemoryInUse, starting.NoPin, OSError) as error:
        log(f"cannot start: {error}")
        return 1
    registry = f"{signer.registry.version}/{signer.registry.digest.hex()}"
    log(f"ready socket={options.socket} registry={registry} state={signer.health()['state']}")
    gc.collect()
    gc.freeze()  # what lives as long as the process is not looked through again and again
    try:
        server.serve(listener, answer=signer.answer, allowed=options.allow_uid, log=log)
    finally:
        listener.close()
        options.socket.unlink(missing_ok=True)
        signer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
