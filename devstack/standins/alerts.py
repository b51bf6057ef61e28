"""Whoever watches from outside, on a loopback port: takes signed alerts and notices, and shows them.

    python -m devstack.standins.alerts --port 8104 --secret SECRET

POST /alerts takes what the application's webhook sends, if its signature holds and is fresh, and keeps each
alert once by its id. GET /_standin/alerts lists them.
"""

from __future__ import annotations

import argparse
import hmac
import re
import threading
import time
from typing import Any, Final

from devstack.standins.provider_server import Failures, ProviderServer, Reply, Request, Route, failure_routes

FRESH_S: Final = 300
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class Watch:
    """The alerts that were taken, in the order in which they came."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._taken: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def authenticate(self, request: Request) -> Reply | None:
        """None for what the holder of the secret has just sent; a refusal for everything else."""
        found = _SIGNATURE.fullmatch(request.headers.get("Countersign-Signature", ""))
        if found is None or abs(time.time() - int(found[1])) > FRESH_S:
            return Reply(401, {"description": "no fresh signature"})
        mac = hmac.digest(self._secret, f"{found[1]}.".encode() + request.body, "sha256").hex()
        return None if hmac.compare_digest(mac, found[2]) else Reply(401, {"description": "another's"})

    def take(self, request: Request) -> Reply:
        alert = request.document()
        with self._lock:
            is_new = self._taken.setdefault(str(alert["id"]), alert) is alert
        if is_new:
            people = f" by {' and '.join(alert['people'])}" if "people" in alert else ""
            print(f"an alert: {alert['type']} {alert.get('what') or alert['subject']}{people}", flush=True)
        return Reply(200, {"taken": alert["id"]})

    def show(self, _request: Request) -> Reply:
        with self._lock:
            return Reply(200, {"alerts": list(self._taken.values())})


def server(*, port: int, secret: str) -> ProviderServer:
    """The watch, ready to serve."""
    watch, failures = Watch(secret), Failures()
    return ProviderServer(
        port=port,
        routes=[Route("POST", "/alerts", watch.take)],
        control=[Route("GET", "/_standin/alerts", watch.show), *failure_routes(failures)],
        authenticate=watch.authenticate,
        failures=failures,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8104)
    parser.add_argument("--secret", required=True)
    options = parser.parse_args()
    watch = server(port=options.port, secret=options.secret)
    print(f"the watch for alerts listens at {watch.url}", flush=True)
    watch.serve_forever()


if __name__ == "__main__":
    main()
