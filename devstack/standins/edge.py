"""A stand-in for the edge (Cloudflare Tunnel and Access) on one loopback port.

    python -m devstack.standins.edge --port N --console SOCK --trader SOCK --approver SOCK --staff FILE \\
        --console-aud HEX --service-aud HEX --keys FILE

The Host header chooses the door, as hostnames do in the tunnel's configuration:

    console.localhost   people: cookie CF_Authorization, else the chooser; injects Cf-Access-Jwt-Assertion
    service.localhost   programs: CF-Access-Client-Id and CF-Access-Client-Secret; injects the assertion
    api., hooks.localhost, approver.localhost   passed on as they are
    127.0.0.1, team.localhost   the team domain: /cdn-cgi/access/{certs,get-identity,login,token}

What the real edge would never let through from outside (Cf-*, forwarding headers, names with an underscore)
is taken off every request. Tests pull levers under /cdn-cgi/access/standin/: `rotate`; `posture` with
{"email": …, "managed" or "disk_encryption": "yes" | "no"}; `fault` with {"certs" or "identity": "hang" |
"500" | "html" | "redirect" | "empty" | "oversize" | "ok"}, and for "identity" also "wrong user" | "stale".
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import h11

from devstack.standins.edge_issuer import COUNTRY, LIFETIME_S, Issuer, Person
from devstack.standins.edge_proxy import Headers, Stream, Unreachable, is_websocket, pass_on
from devstack.standins.edge_team import COOKIE, Answer, Asked, TeamDomain, as_text, redirect

OWN_BODY_BYTES_MAX: Final = 64 * 1024
CONSOLE: Final = "console.localhost"
SERVICE: Final = "service.localhost"
TEAM: Final = frozenset({"127.0.0.1", "team.localhost"})


@dataclass(frozen=True)
class Sockets:
    """The processes behind the doors."""

    console: Path
    trader: Path
    approver: Path

    def behind(self, host: str) -> Path | None:
        """The socket of a host that needs no token here."""
        if host in ("api.localhost", "hooks.localhost"):
            return self.trader
        return self.approver if host == "approver.localhost" else None


class Edge:
    """One connection after another; nothing is kept between two requests but the issuer's sessions."""

    def __init__(self, issuer: Issuer, team: TeamDomain, sockets: Sockets, *, console_aud: str) -> None:
        self._issuer, self._team, self._sockets = issuer, team, sockets
        self._console_aud = console_aud

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, kept alive as long as both sides like."""
        client = Stream(reader, writer, h11.SERVER)
        try:
            while True:
                event = await client.next_event()
                if not isinstance(event, h11.Request):
                    return
                await self._one(client, event)
                if client.state.our_state is not h11.DONE or client.state.their_state is not h11.DONE:
                    return
                client.state.start_next_cycle()
        except h11.RemoteProtocolError as error:
            if client.state.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                with contextlib.suppress(h11.LocalProtocolError, OSError):
                    await _say(client, as_text(f"Bad request: {error}.", 400))
        except OSError:
            pass
        finally:
            client.close()

    async def _one(self, client: Stream, request: h11.Request) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        hosts = [value for name, value in request.headers if name == b"host"]
        host = (
            hosts[0].decode("latin-1").rpartition(":")[0] or hosts[0].decode("latin-1")
            if len(hosts) == 1
            else ""
        )
        asked = Asked(request.method.decode(), request.target.decode("latin-1"), headers)
        if host in TEAM:
            answer = await self._own(client, asked)
            await _say(client, answer)
        elif host == CONSOLE:
            await self._console(client, request, asked)
        elif host == SERVICE:
            token = self._team.service_assertion(headers)
            if token is None:
                await _say(client, as_text("This door is for programs with a service token.", 403))
            else:
                await self._pass(
                    client, request, self._sockets.console, [(b"cf-access-jwt-assertion", token.encode())]
                )
        elif (socket := self._sockets.behind(host)) is not None:
            await self._pass(client, request, socket, [])
        else:
            await _say(client, as_text(f"No door is called {host[:80]!r}.", 404))

    async def _own(self, client: Stream, asked: Asked) -> Answer:
        body = b""
        while isinstance(event := await client.next_event(), h11.Data):
            body += event.data
            if len(body) > OWN_BODY_BYTES_MAX:
                return as_text("Too long.", 413)
        try:
            return await self._team.answer(Asked(asked.method, asked.target, asked.headers, body))
        except ValueError:
            return as_text("That cannot be read.", 400)

    async def _console(self, client: Stream, request: h11.Request, asked: Asked) -> None:
        if asked.path == "/cdn-cgi/access/authorized":
            await _say(client, self._authorized(asked))
            return
        if asked.path == "/cdn-cgi/access/logout":
            gone = f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
            await _say(client, redirect(self._team.login_address("/"), ("Set-Cookie", gone)))
            return
        token, set_cookies = asked.cookie(), []
        holder = self._issuer.holder(token, self._console_aud)
        if token and (holder is None or holder[1]["exp"] - time.time() < LIFETIME_S / 2):
            fresh = self._issuer.renewed(token, self._console_aud)
            if fresh is not None:
                token, holder = fresh, self._issuer.holder(fresh, self._console_aud)
                set_cookies = [_cookie(fresh).encode()]
        if holder is None:
            await _say(client, self._turned_away(request, asked))
            return
        added = [
            (b"cf-access-jwt-assertion", token.encode()),
            (b"cf-access-authenticated-user-email", holder[0].email.encode()),
        ]
        await self._pass(client, request, self._sockets.console, added, set_cookies)

    def _turned_away(self, request: h11.Request, asked: Asked) -> Answer:
        if asked.headers.get("x-requested-with") == "XMLHttpRequest" or is_websocket(list(request.headers)):
            return as_text("Not signed in.", 401)
        if asked.method not in ("GET", "HEAD"):
            return as_text("Not signed in.", 403)
        return redirect(self._team.login_address(asked.target))

    def _authorized(self, asked: Asked) -> Answer:
        query = parse_qs(urlsplit(asked.target).query)
        token, where = query.get("token", [""])[-1], query.get("redirect", ["/"])[-1]
        if self._issuer.holder(token, self._console_aud) is None:
            return as_text("That token is not one of ours.", 403)
        if not where.startswith("/") or where.startswith(("//", "/\\")):
            where = "/"
        return redirect(where, ("Set-Cookie", _cookie(token)))

    async def _pass(
        self,
        client: Stream,
        request: h11.Request,
        socket: Path,
        added: Headers,
        set_cookies: list[bytes] | None = None,
    ) -> None:
        peer = client.writer.get_extra_info("peername")
        added = [
            *added,
            (b"cf-connecting-ip", str(peer[0] if peer else "127.0.0.1").encode()),
            (b"cf-ipcountry", COUNTRY.encode()),
            (b"cf-ray", secrets.token_hex(8).encode() + b"-DEV"),
        ]
        try:
            await pass_on(
                client,
                request,
                socket=socket,
                added=added,
                cookie=_others(request),
                set_cookies=set_cookies or (),
            )
        except Unreachable as error:
            if client.state.our_state is h11.SEND_RESPONSE:
                await _say(client, as_text(f"The process behind this door does not answer: {error}.", 502))


def _cookie(token: str) -> str:
    return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax"


def _others(request: h11.Request) -> bytes | None:
    """The request's cookies without the edge's own: behind the edge, only the header counts."""
    parts = [
        part.strip() for name, value in request.headers if name == b"cookie" for part in value.split(b";")
    ]
    return b"; ".join(part for part in parts if part and not part.startswith(COOKIE.encode() + b"=")) or None


async def _say(client: Stream, answer: Answer) -> None:
    headers = [
        *answer.headers,
        ("Content-Length", str(len(answer.body))),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
    ]
    await client.send(h11.Response(status_code=answer.status, headers=headers))
    await client.send(h11.Data(data=answer.body))
    await client.send(h11.EndOfMessage())


def build(arguments: argparse.Namespace) -> Edge:
    """The edge, from its command line."""
    document = json.loads(arguments.staff.read_text())
    people = [Person(**{**entry, "roles": tuple(entry["roles"])}) for entry in document["staff"]]
    issuer = Issuer(
        url=f"http://127.0.0.1:{arguments.port}",
        keys_file=arguments.keys,
        people=people,
        services=[entry["client_id"] for entry in document.get("services", [])],
    )
    team = TeamDomain(
        issuer,
        console_host=CONSOLE,
        console_aud=arguments.console_aud,
        service_aud=arguments.service_aud,
        port=arguments.port,
    )
    sockets = Sockets(arguments.console, arguments.trader, arguments.approver)
    return Edge(issuer, team, sockets, console_aud=arguments.console_aud)


async def run(edge: Edge, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = await asyncio.start_server(edge.serve, "127.0.0.1", port, limit=1024 * 1024)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(f"edge stand-in at http://127.0.0.1:{port}", flush=True)
        await stop.wait()


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m devstack.standins.edge", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--port", type=int, required=True)
    for name in ("console", "trader", "approver", "staff", "keys"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("console-aud", "service-aud"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args(argv)
    asyncio.run(run(build(arguments), arguments.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
