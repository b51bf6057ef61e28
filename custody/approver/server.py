"""A server on a unix socket: a fixed set of files under the strictest policy, and one log to write to."""

from __future__ import annotations

import html
import os
import socket
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from string import Template
from typing import ClassVar, Final
from urllib.parse import urlsplit

from custody.approver.log import Given, NotASignature, SigningLog, TooManyStrangers
from custody.approver.officers import Officers
from custody.approver.seated import Server
from kernel import canonical
from kernel.registry import BadRegistry, Registry
from kernel.seats import Gone

LOG_PATH: Final = "/log"
OFFICER_PATH: Final = "/officer/"
"""With an id: what the registry on this host calls that officer. Whoever has no id learns no name."""
REJECTED_PATH: Final = "/rejected/"
"""With a nonce and a digest: who has rejected that on this page, and when."""
SUSPENDED_PATH: Final = "/suspended/"
"""With an officer's id: whom officers suspended on this page, who did, and who let them count again since."""
REGISTER_PATH: Final = "/register"
"""The one page that may ask for a new passkey."""
LOG_BYTES_MAX: Final = 64 * 1024
PAGE: Final = Path(__file__).resolve().parent / "page"
IDLE_S_MAX: Final = 15
PLACES: Final = 256
"""Connections at once: the tunnel, as one user, carries everybody's."""
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
# The page talks to its own log and nobody else: no form, no frame, no inline anything.
POLICY: Final[Mapping[str, str]] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "font-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_NOTHING_ELSE: Final = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
MAY_SIGN: Final = f"publickey-credentials-get=(self), publickey-credentials-create=(), {_NOTHING_ELSE}"
MAY_REGISTER: Final = f"publickey-credentials-get=(), publickey-credentials-create=(self), {_NOTHING_ELSE}"
HSTS: Final = "max-age=63072000; includeSubDomains"


class BadPin(ValueError):
    """A value that the page is to be bound to is missing or is not what it should be."""


@dataclass(frozen=True, slots=True)
class Pins:
    """What the page belongs to: it refuses other deployments' requests and returns to this console only."""

    origin: str
    rp_id: str
    console_origin: str
    deployment: str

    def __post_init__(self) -> None:
        for name in ("origin", "console_origin"):
            origin = getattr(self, name)
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != origin:
                raise BadPin(f"{name} must be an origin such as https://approver.example.com, without a path")
        host = urlsplit(self.origin).hostname or ""
        if not self.rp_id or (host != self.rp_id and not host.endswith(f".{self.rp_id}")):
            raise BadPin(f"rp_id must be the origin's host or a domain above it, not {self.rp_id!r}")
        if not self.deployment:
            raise BadPin("deployment must be named")


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is served."""

    content_type: str
    body: bytes
    makes_passkeys: bool = False


def files(pins: Pins) -> dict[str, File]:
    """Every path that is answered, with its bytes."""
    found = {
        f"/{path.name}": File(TYPES[path.suffix], path.read_bytes())
        for path in sorted(PAGE.iterdir())
        if path.suffix in TYPES
    }
    written = {
        "rp_id": html.escape(pins.rp_id),
        "console_origin": html.escape(pins.console_origin),
        "deployment": html.escape(pins.deployment),
    }
    pages = {
        path: Template(found.pop(name).body.decode()).substitute(written).encode()
        for path, name in (("/", "/index.html"), (REGISTER_PATH, "/register.html"))
    }
    return found | {
        path: File(TYPES[".html"], body, makes_passkeys=path == REGISTER_PATH) for path, body in pages.items()
    }


class Handler(BaseHTTPRequestHandler):
    """For the page's own host: GET and HEAD of those paths, of an officer's name and of who rejected a thing,
    POST of a signature to its log, nothing else.
    """

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "approver"
    sys_version = ""
    timeout = IDLE_S_MAX
    files: ClassVar[Mapping[str, File]] = {}
    log: ClassVar[SigningLog]
    officers: ClassVar[Officers]
    origin: ClassVar[str] = ""
    host: ClassVar[str] = ""
    is_secure: ClassVar[bool] = False

    def do_GET(self) -> None:
        """The file."""
        self._answer()

    def do_HEAD(self) -> None:
        """Its headers."""
        self._answer()

    def do_POST(self) -> None:
        """Write one signature down, before the page hands it to the console."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get_all("Host") != [self.host]:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif "Transfer-Encoding" in self.headers or len(self.headers.get_all("Content-Length", [])) > 1:
            self.send_error(HTTPStatus.BAD_REQUEST)  # the edge may see its end elsewhere than we do
        elif self.path != LOG_PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
        elif self.headers.get_all("Origin") != [self.origin]:
            self.send_error(HTTPStatus.FORBIDDEN)
        elif not length.isascii() or not length.isdigit() or int(length) > LOG_BYTES_MAX:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._write_down(self.rfile.read(int(length)))

    def _write_down(self, data: bytes) -> None:
        try:
            given = Given.parse(data)
            with self.server.seats.turn(self.connection):
                place = self.log.add(given)
        except NotASignature:
            self.send_error(HTTPStatus.UNPROCESSABLE_ENTITY)
        except Gone:
            self.close_connection = True
        except TooManyStrangers:
            self.send_error(HTTPStatus.TOO_MANY_REQUESTS)
        except (OSError, BadRegistry, canonical.NotCanonical) as error:
            print(f"approver: the log cannot be written: {error}", flush=True)
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._send(HTTPStatus.OK, File("text/plain; charset=utf-8", f"{place}\n".encode()))

    def _answer(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            # Nobody reads it: on a connection that the edge keeps, it would be taken for the next request.
            self.close_connection = True
        if self.headers.get_all("Host") != [self.host]:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif (file := self.files.get(self.path)) is not None:
            self._send(HTTPStatus.OK, file)
        elif self.path.startswith(OFFICER_PATH):
            self._say(self._name, self.path.removeprefix(OFFICER_PATH))
        elif self.path.startswith(REJECTED_PATH):
            self._say(self._rejections, self.path.removeprefix(REJECTED_PATH))
        elif self.path.startswith(SUSPENDED_PATH):
            self._say(self._suspensions, self.path.removeprefix(SUSPENDED_PATH))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _say(self, what: Callable[[Registry, str], canonical.Value], name: str) -> None:
        """What is known here beside the page itself; None is not found."""
        try:
            with self.server.seats.turn(self.connection):
                said = what(self.officers.registry(), name)
        except Gone:
            self.close_connection = True
        except (OSError, BadRegistry, canonical.NotCanonical) as error:
            print(f"approver: the registry cannot be read: {error}", flush=True)
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            if said is None:
                self.send_error(HTTPStatus.NOT_FOUND)
            else:
                self._send(HTTPStatus.OK, File("application/json", canonical.encode(said)))

    def _name(self, registry: Registry, officer: str) -> canonical.Value:
        if officer not in registry.officers:
            return None
        return {"name": registry.officers[officer].name, "registry": str(registry.version)}

    def _rejections(self, registry: Registry, asked: str) -> canonical.Value:
        return {"by": _people(self.log.rejections.of(*asked.split("/")[:2]), registry)}

    def _suspensions(self, registry: Registry, asker: str) -> canonical.Value:
        if asker not in registry.officers:
            return None
        found: list[canonical.Value] = [
            {
                "id": who,
                "name": registry.officers[who].name if who in registry.officers else who,
                "by": _people(one.by, registry),
                "released_by": _people(one.released_by, registry),
            }
            for who, one in self.log.suspensions.all().items()
        ]
        return {"suspended": found}

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A plain sentence under the same headers; the connection ends, whatever else was sent on it."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._send(status, File("text/plain; charset=utf-8", f"{status.phrase}.\n".encode()))

    def _send(self, status: HTTPStatus, file: File) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Permissions-Policy", MAY_REGISTER if file.makes_passkeys else MAY_SIGN)
        if self.is_secure:
            self.send_header("Strict-Transport-Security", HSTS)
        self.send_header("Content-Type", file.content_type)
        self.send_header("Content-Length", str(len(file.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(file.body)

    def address_string(self) -> str:
        """A unix socket's peer has no address."""
        return "-"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        """Requests are not logged: what officers look at is nobody's business here."""


def _people(found: Mapping[str, int], registry: Registry) -> list[canonical.Value]:
    """Officers by their names in the registry, those for a recovery as well, each with the moment."""
    spare = registry.recovery.officers if registry.recovery else {}
    known = {one.id: one.name for one in (*registry.officers.values(), *spare.values())}
    return [{"name": known.get(who, who), "at_ms": str(at)} for who, at in found.items()]


def listen(path: Path, pins: Pins, log: SigningLog, officers: Officers) -> Server:
    """A server bound to the socket's path. A socket that a dead process left there is taken away first."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _is_alive(path):
        path.unlink()
    made = type(
        "PinnedHandler",
        (Handler,),
        {
            "files": files(pins),
            "log": log,
            "officers": officers,
            "origin": pins.origin,
            "host": urlsplit(pins.origin).netloc,
            "is_secure": pins.origin.startswith("https://"),
        },
    )
    server = Server(path, made, places=PLACES)
    # Who may connect is said by the folder, as for the other doors.
    os.chmod(path, 0o666)  # noqa: S103, PTH101
    return server


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
