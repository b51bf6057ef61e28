"""python -m core.audit.notary provision|serve --token NAME --module LIB --origin LOG --state DIR …

`provision` makes the key inside the token and an empty memory, once, and prints the log's verifier key.
`serve --socket PATH --allow-uid N` signs heads until a termination signal. The PIN is one line on standard
input; until it is given, the notary signs nothing.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from core.audit.notary.memory import NoMemory, Notary, begin
from core.audit.notary.token import BadToken, PinRefused, Token
from core.trusted import serving, starting
from core.trusted.serving import Message
from kernel import note


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _log(line: str) -> None:
    print(f"notary {line}", flush=True)


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="core.audit.notary", description="Sign one log's heads.")
    parser.add_argument("verb", choices=("provision", "serve"))
    parser.add_argument("--token", required=True, help="the token's label; it is alone in its folder")
    parser.add_argument("--module", required=True, help="the PKCS#11 module")
    parser.add_argument("--origin", required=True, help="the log's name")
    parser.add_argument("--state", type=Path, required=True, help="the notary's own folder")
    parser.add_argument("--socket", type=Path, help="where to listen")
    parser.add_argument("--allow-uid", type=int, action="append", default=[], help="who may ask")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    starting.harden()
    try:
        token = Token(module=options.module, name=options.token, pin=starting.read_secret("PIN"))
        if options.verb == "provision":
            verifier = note.Verifier(options.origin, token.generate())
            begin(options.state)
            print(verifier)
            return 0
        notary = Notary(
            log=note.Verifier(options.origin, token.check()), signer=token.sign, state=options.state
        )
        listener = serving.listen(options.socket)
    except PinRefused as error:
        _log(f"locked: {error}. End it, and start it with the right one")
        if options.verb == "serve":
            while True:  # ended, it would be started again, until the token locks itself for good
                time.sleep(1)  # a signal that comes just before a wait is acted on after it
        return 1
    except (BadToken, NoMemory, starting.NoSecret, OSError, ValueError) as error:
        _log(f"cannot start: {error}")
        return 1

    def answer(message: Message, uid: int) -> Message:
        try:
            found = notary.answer(message, uid)
        except BadToken as error:
            _log(str(error))
            found = {"v": 1, "type": "refused", "code": "NOTARY_TOKEN_FAILED", "seen": notary.size}
        if found["type"] == "refused":
            _log(f"refused user={uid} code={found['code']} at size {notary.size}")
        return found

    _log(f"ready socket={options.socket} log={options.origin} at size {notary.size}")
    try:
        serving.serve(listener, answer=answer, allowed=options.allow_uid, log=_log)
    finally:
        listener.close()
        options.socket.unlink(missing_ok=True)
        token.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
