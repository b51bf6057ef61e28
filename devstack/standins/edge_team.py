"""The stand-in's team domain: keys, get-identity, the page to choose whom to be, levers for tests."""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from devstack.standins.edge_issuer import Issuer, Person, service_secret

HANG_S: Final = 60
STALE_S: Final = 7 * 24 * 3600
OVERSIZE_BYTES: Final = 70_000
COOKIE: Final = "CF_Authorization"
_STYLE: Final = (
    "body{font:16px/1.5 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}"
    "li{margin:.75rem 0;list-style:none}ul{padding:0}button{font:inherit;padding:.4rem .9rem;min-width:11rem}"
)


@dataclass(frozen=True)
class Asked:
    """A request to the edge itself, with its body read whole."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query's last values."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def form(self) -> dict[str, str]:
        """The fields of a form or a JSON object."""
        if self.headers.get("content-type", "").startswith("application/json"):
            value = json.loads(self.body or b"{}")
            return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
        return {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}

    def cookie(self) -> str:
        """The Access cookie's value, or nothing."""
        for part in self.headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return value
        return ""


@dataclass(frozen=True)
class Answer:
    """What the edge itself answers."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


def as_json(value: Any, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status, json.dumps(value).encode(), [("Content-Type", "application/json")])


def as_text(text: str, status: int) -> Answer:
    """A plain sentence."""
    return Answer(status, (text + "\n").encode(), [("Content-Type", "text/plain; charset=utf-8")])


def redirect(where: str, *headers: tuple[str, str]) -> Answer:
    """A 302."""
    return Answer(302, b"", [("Location", where), *headers])


class TeamDomain:
    """Answers under /cdn-cgi/access/ on the team's host."""

    def __init__(
        self, issuer: Issuer, *, console_host: str, console_aud: str, service_aud: str, port: int
    ) -> None:
        self._issuer = issuer
        self._console_host, self._port = console_host, port
        self._console_aud, self._service_aud = console_aud, service_aud
        self._faults: dict[str, str] = {}

    async def answer(self, asked: Asked) -> Answer:
        """The answer to any request for the team's host."""
        route = (asked.method, asked.path.removeprefix("/cdn-cgi/access"))
        if route == ("GET", "/certs"):
            return await self._faulty("certs", as_json(self._issuer.certs()), asked)
        if route == ("GET", "/get-identity"):
            return await self._faulty(
                "identity", self._identity(asked, self._faults.get("identity", "ok")), asked
            )
        if route == ("POST", "/token"):
            return self._token(asked)
        if route == ("POST", "/login"):
            return self._login(asked)
        if route[0] == "GET" and route[1] in ("/", "/login"):
            return self._chooser(asked)
        if route[1].startswith("/standin/"):
            return self._lever(asked, route[1].removeprefix("/standin/"))
        return as_text("Nothing here.", 404)

    def login_address(self, path: str) -> str:
        """Where somebody without a token is sent."""
        return f"{self._issuer.url}/cdn-cgi/access/login?redirect={quote(path, safe='')}"

    def service_assertion(self, headers: Mapping[str, str]) -> str | None:
        """The token for a program that shows its client id and secret."""
        client = headers.get("cf-access-client-id", "")
        secret = headers.get("cf-access-client-secret", "")
        if client not in self._issuer.services or not hmac.compare_digest(secret, service_secret(client)):
            return None
        return self._issuer.service_token(client, self._service_aud)

    def _identity(self, asked: Asked, fault: str) -> Answer:
        holder = self._issuer.holder(asked.cookie())
        if holder is None:
            return as_json({"err": "no session"}, 401)
        person, claims = holder
        if fault == "wrong user":
            person = next(each for each in self._issuer.people.values() if each != person)
        at = time.time() - STALE_S if fault == "stale" else None
        return as_json(self._issuer.identity(person, claims, at=at))

    def _token(self, asked: Asked) -> Answer:
        fields = asked.form()
        if (client := fields.get("client_id", "")) in self._issuer.services:
            return as_json({"token": self._issuer.service_token(client, self._service_aud)})
        person = self._issuer.people.get(fields.get("email", ""))
        if person is None:
            return as_json({"error": "nobody of that e-mail is on the staff file"}, 404)
        return as_json({"token": self._issuer.user_token(person, self._console_aud)})

    def _login(self, asked: Asked) -> Answer:
        fields = asked.form()
        person = self._issuer.people.get(fields.get("email", ""))
        if person is None:
            return as_text("Nobody of that e-mail is on the staff file.", 404)
        token = self._issuer.user_token(person, self._console_aud)
        back = quote(fields.get("redirect", "/"), safe="")
        origin = f"http://{self._console_host}:{self._port}"
        return redirect(f"{origin}/cdn-cgi/access/authorized?token={token}&redirect={back}")

    def _chooser(self, asked: Asked) -> Answer:
        wanted = asked.query.get("redirect", "/")
        lines = "".join(_line(person, wanted) for person in self._issuer.people.values())
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in (development)</title>'
            f"<style>{_STYLE}</style><h1>Who are you today?</h1>"
            f"<p>This page plays Cloudflare Access. In production the identity provider asks instead.</p>"
            f"<ul>{lines}</ul></html>"
        )
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
        return Answer(
            200,
            page.encode(),
            [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy)],
        )

    def _lever(self, asked: Asked, name: str) -> Answer:
        if name == "health":
            return as_json({"ok": True})
        if asked.method == "POST" and name == "rotate":
            self._issuer.rotate()
            return as_json({"kids": [key["kid"] for key in self._issuer.certs()["keys"]]})
        if asked.method == "POST" and name == "posture":
            fields = asked.form()
            email = fields.pop("email", "")
            if email not in self._issuer.people:
                return as_json({"error": "nobody of that e-mail is on the staff file"}, 404)
            said = {check: value == "yes" for check, value in fields.items()}
            return as_json(self._issuer.repaired(email, **said).posture)
        if asked.method == "POST" and name == "fault":
            self._faults.update(asked.form())
            return as_json(self._faults)
        return as_text("Nothing here.", 404)

    async def _faulty(self, what: str, good: Answer, asked: Asked) -> Answer:
        """The good answer or the fault that a test asked for; to whoever follows a redirect, the good one."""
        fault = self._faults.get(what, "ok")
        if fault == "redirect" and asked.query:
            return good
        if fault == "hang":
            await asyncio.sleep(HANG_S)
        faults = {
            "500": as_text("stand-in fault", 500),
            "html": Answer(200, b"<html>please enable cookies</html>", [("Content-Type", "text/html")]),
            "redirect": redirect(f"{self._issuer.url}{asked.path}?followed=1"),
            "empty": as_json({"keys": []}),
            "oversize": as_json({"keys": [], "email": "x" * OVERSIZE_BYTES}),
        }
        return faults.get(fault, good)


def _line(person: Person, wanted: str) -> str:
    roles = ", ".join(role.replace("_", " ") for role in person.roles) or "no role"
    return (
        '<li><form method="post" action="/cdn-cgi/access/login">'
        f'<input type="hidden" name="email" value="{html.escape(person.email)}">'
        f'<input type="hidden" name="redirect" value="{html.escape(wanted)}">'
        f"<button>{html.escape(person.name)}</button> {html.escape(roles)}"
        f"<br><small>{html.escape(person.about)}</small></form></li>"
    )
