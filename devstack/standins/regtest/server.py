"""JSON-RPC over HTTP as Bitcoin Core serves it: basic authentication, batches, error codes in the body."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Callable
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from devstack.standins.regtest.rpc import BAD_REQUEST, NO_METHOD, Rpc, RpcError

BODY_MAX: Final = 8 * 1024 * 1024
PARSE_ERROR: Final = -32700
_ORDINARY: Final = (-5, -8)  # "no such one", "above the tip": answers to a question, not worth a line


def encode(value: Any) -> str:
    """JSON in which a Decimal of bitcoin is written with its eight digits, as Core writes it."""
    if isinstance(value, Decimal):
        return f"{value:.8f}" if value.as_tuple().exponent == -8 else str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{encode(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(encode(each) for each in value) + "]"
    return json.dumps(value)


class Server(ThreadingHTTPServer):
    """The node behind one loopback port. Calls are answered one at a time, as the chain is one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, rpc: Rpc, *, host: str, port: int, user: str, password: str, log: Callable[[str], None]
    ) -> None:
        self.rpc = rpc
        self.log = log
        self.lock = threading.Lock()
        self.wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        super().__init__((host, port), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection; it may carry many requests."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 300
    wbufsize = -1  # one packet per answer

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 < size <= BODY_MAX:
            self.close_connection = True
            self._answer(413 if size else 400, b"")
            return
        body = self.rfile.read(size)
        if not hmac.compare_digest(
            (self.headers.get("Authorization") or "").encode(), self.server.wanted.encode()
        ):
            self._answer(401, b"", challenge=True)
            return
        try:
            request = json.loads(body)
        except ValueError:
            self._answer(500, _error(None, PARSE_ERROR, "Parse error").encode())
            return
        if isinstance(request, list):
            self._answer(200, ("[" + ",".join(self._one(each)[1] for each in request) + "]").encode())
            return
        status, text = self._one(request)
        self._answer(status, text.encode() + b"\n")

    def _one(self, request: Any) -> tuple[int, str]:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return 400, _error(None, BAD_REQUEST, "Invalid Request object")
        number, method = request.get("id"), request["method"]
        try:
            with self.server.lock:
                result = self.server.rpc.call(method, request.get("params") or [])
        except RpcError as error:
            if error.code not in _ORDINARY:
                self.server.log(f"{method}: {error} ({error.code})")
            status = {NO_METHOD: 404, BAD_REQUEST: 400}.get(error.code, 500)
            return status, _error(number, error.code, str(error))
        return 200, encode({"result": result, "error": None, "id": number})

    def _answer(self, status: int, body: bytes, *, challenge: bool = False) -> None:
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", 'Basic realm="jsonrpc"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is the base class's
        """Keep the access log quiet; refusals are logged where they happen."""


def _error(number: Any, code: int, message: str) -> str:
    return encode({"result": None, "error": {"code": code, "message": message}, "id": number})
