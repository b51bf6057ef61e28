"""The approver's process: `python -m custody.approver --socket PATH`, pins by option or environment."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from custody.approver.server import BadPin, Pins, listen

PINS = {
    "origin": "APPROVER_ORIGIN",
    "rp_id": "APPROVER_RP_ID",
    "console_origin": "CONSOLE_ORIGIN",
    "deployment": "DEPLOYMENT",
}


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m custody.approver", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    for name, variable in PINS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", default=os.environ.get(variable, ""), help=f"or {variable}"
        )
    given = parser.parse_args()
    try:
        pins = Pins(**{name: getattr(given, name) for name in PINS})
        server = listen(given.socket, pins)
    except (BadPin, OSError) as error:
        print(f"approver: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"approver: ready at {given.socket} for {pins.origin}", flush=True)
    with server:
        server.serve_forever(poll_interval=0.2)
    with contextlib.suppress(FileNotFoundError):
        given.socket.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
