"""The approver's process, with its page on one socket and its log on another; pins by option or environment.

    python -m custody.approver --socket PATH --state DIR --registry FILE --log-socket PATH --allow-uid N

`--state` is the log's own folder, `--registry` the signers' public file, by which the log tells officers from
strangers, and the page whom an id names; `--allow-uid` names who may ask for the log's heads.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

from custody.approver.log import LogDamaged, LogInUse, SigningLog
from custody.approver.officers import Officers
from custody.approver.server import BadPin, Pins, listen
from custody.approver.watching import Watch

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
    parser.add_argument("--state", type=Path, required=True, help="where the log lives")
    parser.add_argument("--registry", type=Path, required=True, help="whose passkeys are officers'")
    parser.add_argument("--log-socket", type=Path, required=True, help="where witnesses' collector asks")
    parser.add_argument("--allow-uid", type=int, action="append", required=True, help="who may ask there")
    for name, variable in PINS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", default=os.environ.get(variable, ""), help=f"or {variable}"
        )
    given = parser.parse_args()
    os.umask(0o077)
    try:
        pins = Pins(**{name: getattr(given, name) for name in PINS})
        officers = Officers(given.registry)
        log = SigningLog(
            given.state,
            deployment=pins.deployment,
            registry=officers.registry,
            origin=pins.origin,
            rp_id=pins.rp_id,
            clock=time.time,
        )
        if log.cut:
            text = f"approver: cut {log.cut} bytes of a line that was never finished, nor answered for"
            print(text, file=sys.stderr)
        watch = Watch(given.log_socket, log, allowed=given.allow_uid)
        server = listen(given.socket, pins, log, officers)
    except (BadPin, LogInUse, LogDamaged, OSError) as error:
        print(f"approver: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    threading.Thread(target=watch.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
    print(f"approver: ready at {given.socket} for {pins.origin}", flush=True)
    with server:
        server.serve_forever(poll_interval=0.2)
    watch.shutdown()
    watch.server_close()
    log.close()
    for path in (given.socket, given.log_socket):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
