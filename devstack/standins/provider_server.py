"""The small HTTP server that the stand-in providers share: routes, request authentication and failure modes.

A stand-in plays a provider of identity checks on a loopback port. What the provider documents is served under
its own paths; everything under /_standin/ steers the stand-in and exists at no real provider.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BODY_BYTES_MAX = 1_048_576
TIMEOUT_HOLD_S = 60.0


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire: `target` and `body` are the exact bytes that were signed."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """Query parameters; of a repeated one the first."""
        return {key: values[0] for key, values in parse_qs(urlsplit(self.target).query).items()}

    def document(self) -> dict[str, Any]:
        """The JSON object in the body, empty when there is none."""
        parsed = json.loads(self.body) if self.body else {}
        return parsed if isinstance(parsed, dict) else {}


@dataclass(frozen=True)
class Reply:
    """What goes back: a status and a JSON document."""

    status: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[..., Reply]


@dataclass
class Failure:
    """One planned failure: `status` as an HTTP status, or 0 for an answer that never comes in time."""

    status: int
    times: int
    path: str
    retry_after_s: int | None = None


class Failures:
    """The failures that a script has asked for; each is used up as often as it says."""

    def __init__(self) -> None:
        self._planned: list[Failure] = []
        self._lock = threading.Lock()

    def plan(self, failure: Failure) -> None:
        with self._lock:
            self._planned.append(failure)

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def take(self, path: str) -> Failure | None:
        """The failure due for this path, or None."""
        with self._lock:
            for failure in self._planned:
                if failure.times > 0 and re.search(failure.path, path):
                    failure.times -= 1
                    return failure
        return None


@dataclass(frozen=True)
class Route:
    """`pattern` must match the whole path; its named groups become keyword arguments of `handler`."""

    method: str
    pattern: str
    handler: Handler


class ProviderServer(ThreadingHTTPServer):
    """Serves a provider's documented routes behind `authenticate`, and the control routes without it."""

    daemon_threads = True

    def __init__(
        self,
        *,
        port: int,
        routes: Sequence[Route],
        control: Sequence[Route],
        authenticate: Callable[[Request], Reply | None],
        failures: Failures,
        hold_s: float = TIMEOUT_HOLD_S,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.routes = routes
        self.control = control
        self.authenticate = authenticate
        self.failures = failures
        self.hold_s = hold_s
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Serve in a background thread; for tests. `shutdown` and `server_close` end it."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, request: Request) -> Reply:
        """The reply to one request, failure modes included."""
        if request.path.startswith("/_standin/"):
            return self._dispatch(self.control, request)
        self.requests.append(f"{request.method} {request.target}")
        failure = self.failures.take(request.path)
        if failure is not None and failure.status == 0:
            time.sleep(self.hold_s)
        elif failure is not None:
            headers = {} if failure.retry_after_s is None else {"Retry-After": str(failure.retry_after_s)}
            return Reply(failure.status, {"description": "planned failure", "code": failure.status}, headers)
        return self.authenticate(request) or self._dispatch(self.routes, request)

    def _dispatch(self, routes: Sequence[Route], request: Request) -> Reply:
        for route in routes:
            match = re.fullmatch(route.pattern, request.path)
            if match and route.method == request.method:
                return route.handler(request, **match.groupdict())
        return Reply(404, {"description": "no such resource", "code": 404})


def failure_routes(server_failures: Failures) -> list[Route]:
    """Control routes that plan and clear failures: POST and DELETE /_standin/failures."""

    def plan(request: Request) -> Reply:
        wanted = request.document()
        mode = wanted.get("mode", 500)
        server_failures.plan(
            Failure(
                status=0 if mode == "timeout" else int(mode),
                times=int(wanted.get("times", 1)),
                path=str(wanted.get("path", "")),
                retry_after_s=wanted.get("retry_after_s"),
            )
        )
        return Reply(200, {"planned": wanted})

    def clear(_request: Request) -> Reply:
        server_failures.clear()
        return Reply(200, {"planned": None})

    return [Route("POST", "/_standin/failures", plan), Route("DELETE", "/_standin/failures", clear)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ProviderServer

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            self._send(Reply(413, {"description": "too large", "code": 413}))
            self.close_connection = True
            return
        request = Request(self.command, self.path, self.headers, self.rfile.read(length))
        try:
            reply = self.server.answer(request)
        except (ValueError, KeyError, TypeError) as error:
            reply = Reply(400, {"description": f"{type(error).__name__}: {error}", "code": 400})
        try:
            self._send(reply)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - named by http.server

    def _send(self, reply: Reply) -> None:
        body = json.dumps(reply.document).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
        print(f"{self.address_string()} {format % args}", flush=True)
