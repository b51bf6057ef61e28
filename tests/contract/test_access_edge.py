"""The edge stand-in …"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from core.access.adapters.identities import Desk, asker
from core.access.adapters.keys import FRESH_S, STALE_S, KeyStore, fetcher, parse
from core.access.domain.tokens import BadToken, Fault, Rules, Service, User, read
from devstack.standins.edge_issuer import DISK_RULE, MANAGED_RULE, service_secret
from tests import ports
from tests.doors import Clock, shelf

ROOT = Path(__file__).resolve().parents[2]
STAFF = json.loads((ROOT / "fixtures/staff.json").read_text())
CONSOLE_AUD, SERVICE_AUD = "c0" * 32, "5e" * 32

ECHO = """
import sys, json, uvicorn
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": sys.argv[2] + ":" + message["text"]})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = json.dumps({
        "door": sys.argv[2], "method": scope["method"], "path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(), "length": len(body),
        "headers": [[n.decode(), v.decode()] for n, v in scope["headers"]],
    }).encode()
    kind = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": kind})
    await send({"type": "http.response.body", "body": answer})
uvicorn.run(app, uds=sys.argv[1], log_level="error", ws="websockets-sansio")
"""


@dataclass(frozen=True)
class Running:
    """A running edge with three echoing processes behind it."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, host: str, path: str = "/", **options: Any) -> httpx.Response:
        return self.ask("GET", host, path, **options)

    def ask(self, method: str, host: str, path: str, headers: Any = (), **options: Any) -> httpx.Response:
        named = [
            ("Host", f"{host}:{self.port}"),
            *(headers.items() if isinstance(headers, dict) else headers),
        ]
        return httpx.request(method, self.url + path, headers=named, timeout=60, **options)

    def token(self, email: str) -> str:
        answer = httpx.post(f"{self.url}/cdn-cgi/access/token", json={"email": email}, timeout=60)
        return str(answer.json()["token"])

    def lever(self, name: str, **fields: str) -> None:
        httpx.post(f"{self.url}/cdn-cgi/access/standin/{name}", json=fields, timeout=60).raise_for_status()

    def fetch(self, *, timeout_s: float = 60.0) -> Any:
        return fetcher(f"{self.url}/cdn-cgi/access/certs", timeout_s=timeout_s)

    def store(self, **options: Any) -> KeyStore:
        return KeyStore(self.fetch(), development=True, **options)

    def bearer(self, token: str) -> User:
        who = read(token, rules=self.rules(User), key_of=self.store().key_of, now=_now())
        assert isinstance(who, User)
        return who

    def rules(self, kind: type[User] | type[Service]) -> Rules:
        return Rules(self.url, CONSOLE_AUD if kind is User else SERVICE_AUD, admits=kind)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("edge")
    port = ports.free()
    doors = {name: folder / f"{name}.sock" for name in ("console", "trader", "approver")}
    commands = [[sys.executable, "-c", ECHO, str(path), name] for name, path in doors.items()]
    commands.append(
        [
            *(sys.executable, "-m", "devstack.standins.edge", "--port", str(port)),
            *(part for name, path in doors.items() for part in (f"--{name}", str(path))),
            *("--staff", str(ROOT / "fixtures/staff.json"), "--keys", str(folder / "keys.json")),
            *("--console-aud", CONSOLE_AUD, "--service-aud", SERVICE_AUD),
        ]
    )
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for command in commands]
    try:
        running = Running(port)
        deadline = time.monotonic() + 120
        while not (all(path.exists() for path in doors.values()) and _listens(port)):
            if time.monotonic() > deadline:
                raise TimeoutError("the edge stand-in does not start")
            time.sleep(0.05)
        yield running
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(autouse=True)
def _without_faults(edge: Running) -> Iterator[None]:
    yield
    edge.lever("fault", certs="ok", identity="ok")


def headers_behind(answer: httpx.Response) -> dict[str, str]:
    return dict(answer.json()["headers"])


@pytest.mark.parametrize(
    ("host", "door"),
    [("api.localhost", "trader"), ("hooks.localhost", "trader"), ("approver.localhost", "approver")],
)
def test_passes_doors_with_their_own_proof_on_as_they_are(edge: Running, host: str, door: str) -> None:
    answer = edge.ask("POST", host, "/a%2Fb?ccy=BTC,USDT", content=b"x" * 300_000)
    seen = answer.json()
    assert (seen["door"], seen["path"], seen["query"], seen["length"]) == (
        door,
        "/a%2Fb",
        "ccy=BTC,USDT",
        300_000,
    )
    assert "cf-access-jwt-assertion" not in headers_behind(answer)


def test_answers_many_at_once(edge: Running) -> None:
    async def crowd() -> list[int]:
        limits = httpx.Limits(max_connections=20)
        async with httpx.AsyncClient(base_url=edge.url, limits=limits, timeout=60) as client:
            host = {"Host": f"api.localhost:{edge.port}"}
            asked = [client.request("HEAD" if n % 2 else "GET", f"/{n}", headers=host) for n in range(60)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(crowd()) == [200] * 60


def test_knows_no_other_door(edge: Running) -> None:
    assert edge.get("evil.example").status_code == 404


def test_sends_a_stranger_to_choose_whom_to_be(edge: Running) -> None:
    answer = edge.get("console.localhost", "/withdrawals?state=open")
    assert answer.status_code == 302
    page = httpx.get(answer.headers["location"], timeout=60)
    assert all(person["name"] in page.text for person in STAFF["staff"])


def test_answers_a_strangers_script_with_401(edge: Running) -> None:
    answer = edge.get("console.localhost", headers={"X-Requested-With": "XMLHttpRequest"})
    assert answer.status_code == 401


def test_signs_in_whoever_was_chosen(edge: Running) -> None:
    form = {"email": "ben@countersign.example", "redirect": "/withdrawals"}
    chosen = httpx.post(f"{edge.url}/cdn-cgi/access/login", data=form, timeout=60)
    back = chosen.headers["location"].removeprefix(f"http://console.localhost:{edge.port}")
    landed = edge.get("console.localhost", back)
    assert (landed.status_code, landed.headers["location"]) == (302, "/withdrawals")
    cookie = landed.headers["set-cookie"].split(";")[0]
    answer = edge.get("console.localhost", headers={"Cookie": f"{cookie}; session=abc"})
    seen = headers_behind(answer)
    who = read(
        seen["cf-access-jwt-assertion"], rules=edge.rules(User), key_of=edge.store().key_of, now=_now()
    )
    assert isinstance(who, User)
    assert who.email == "ben@countersign.example"
    assert seen["cookie"] == "session=abc"


@pytest.mark.parametrize("where", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_redirects_nobody_elsewhere(edge: Running, where: str) -> None:
    token = edge.token("ben@countersign.example")
    answer = edge.ask(
        "GET", "console.localhost", "/cdn-cgi/access/authorized", params={"token": token, "redirect": where}
    )
    assert answer.headers["location"] == "/"


def test_takes_off_what_only_the_edge_may_say(edge: Running) -> None:
    forged = [
        ("Cf-Access-Jwt-Assertion", "forged"),
        ("cf_access_jwt_assertion", "forged"),
        ("Cf-Connecting-IP", "6.6.6.6"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6"),
        ("Script_Name", "/console"),
    ]
    seen = headers_behind(edge.get("api.localhost", headers=forged))
    assert seen["cf-connecting-ip"] == "127.0.0.1"
    assert (
        not {
            "cf-access-jwt-assertion",
            "cf_access_jwt_assertion",
            "x-forwarded-for",
            "forwarded",
            "script_name",
        }
        & seen.keys()
    )


def test_lets_programs_in_by_their_service_token(edge: Running) -> None:
    client = STAFF["services"][0]["client_id"]
    good = {"CF-Access-Client-Id": client, "CF-Access-Client-Secret": service_secret(client)}
    seen = headers_behind(edge.get("service.localhost", headers=good))
    who = read(
        seen["cf-access-jwt-assertion"], rules=edge.rules(Service), key_of=edge.store().key_of, now=_now()
    )
    assert who == Service(client, who.issued_at, who.expires_at)
    assert "cf-access-client-secret" not in seen
    assert (
        edge.get("service.localhost", headers=good | {"CF-Access-Client-Secret": "0" * 64}).status_code == 403
    )
    assert edge.get("service.localhost").status_code == 403


def test_says_who_holds_a_token(edge: Running) -> None:
    token = edge.token("sam@countersign.example")
    answer = httpx.get(
        f"{edge.url}/cdn-cgi/access/get-identity", cookies={"CF_Authorization": token}, timeout=60
    )
    assert answer.json()["email"] == "sam@countersign.example"
    assert httpx.get(f"{edge.url}/cdn-cgi/access/get-identity", timeout=60).status_code == 401


def test_says_how_a_device_is_in_the_published_shape(edge: Running) -> None:
    desk = Desk(asker(edge.url, timeout_s=60), shelf=shelf(), timeout_s=60)
    token = edge.token("sam@countersign.example")
    answer = desk.of(token, edge.bearer(token))
    assert answer is not None
    assert answer.posture.device == "laptop-of-sam"
    assert {rule: found.passed for rule, found in answer.posture.findings.items()} == {
        MANAGED_RULE: True,
        DISK_RULE: True,
    }
    edge.lever("posture", email="sam@countersign.example", disk_encryption="no")
    again = Desk(asker(edge.url, timeout_s=60), shelf=shelf(), timeout_s=60).of(token, edge.bearer(token))
    edge.lever("posture", email="sam@countersign.example", disk_encryption="yes")
    assert again is not None
    assert not again.posture.findings[DISK_RULE].passed
    assert again.posture.findings[MANAGED_RULE].passed


def test_says_nothing_about_the_bearer_of_another_token(edge: Running) -> None:
    ana, sam = edge.token("ana@countersign.example"), edge.token("sam@countersign.example")
    assert Desk(asker(edge.url), shelf=shelf()).of(sam, edge.bearer(ana)) is None
    assert Desk(asker(edge.url), shelf=shelf()).of("forged", edge.bearer(ana)) is None


@pytest.mark.parametrize("fault", ["500", "html", "redirect", "empty", "oversize", "wrong user", "hang"])
def test_can_fail_in_ways_that_leave_a_device_unknown(edge: Running, fault: str) -> None:
    token = edge.token("ana@countersign.example")
    edge.lever("fault", identity=fault)
    assert Desk(asker(edge.url, timeout_s=0.3), shelf=shelf()).of(token, edge.bearer(token)) is None


def test_can_tell_of_a_device_as_it_was_long_ago(edge: Running) -> None:
    token = edge.token("ana@countersign.example")
    edge.lever("fault", identity="stale")
    answer = Desk(asker(edge.url, timeout_s=60), shelf=shelf(), timeout_s=60).of(token, edge.bearer(token))
    assert answer is not None
    found = answer.posture.findings[MANAGED_RULE].at
    assert found is not None
    assert _now() - found > timedelta(days=6)


@pytest.mark.parametrize("host", ["api.localhost", "console.localhost"])
def test_carries_web_sockets(edge: Running, host: str) -> None:
    cookie = {"Cookie": f"CF_Authorization={edge.token('ana@countersign.example')}"}

    async def talk() -> str:
        address = f"ws://{host}:{edge.port}/ws"
        async with websockets.connect(address, host="127.0.0.1", additional_headers=cookie) as ws:
            await ws.send("hello")
            return str(await ws.recv())

    assert asyncio.run(talk()).endswith(":hello")


def test_refuses_a_strangers_web_socket(edge: Running) -> None:
    async def talk() -> None:
        async with websockets.connect(f"ws://console.localhost:{edge.port}/ws", host="127.0.0.1"):
            pass

    with pytest.raises(websockets.InvalidStatus, match="401"):
        asyncio.run(talk())


def test_keeps_the_previous_key_through_a_rotation(edge: Running) -> None:
    token = edge.token("ana@countersign.example")
    edge.lever("rotate")
    fresh = edge.token("ana@countersign.example")
    for held in (token, fresh):
        assert read(held, rules=edge.rules(User), key_of=edge.store().key_of, now=_now())
    edge.lever("rotate")
    with pytest.raises(BadToken, match=Fault.KEY_UNKNOWN):
        read(token, rules=edge.rules(User), key_of=edge.store().key_of, now=_now())


@pytest.mark.parametrize("fault", ["500", "html", "redirect", "empty", "oversize", "hang"])
def test_can_fail_in_ways_that_a_store_without_keys_survives(edge: Running, fault: str) -> None:
    edge.lever("fault", certs=fault)
    store = KeyStore(edge.fetch(timeout_s=0.3), development=True)
    with pytest.raises(BadToken, match=Fault.KEYS_STALE):
        read(edge.token("ana@countersign.example"), rules=edge.rules(User), key_of=store.key_of, now=_now())
    assert store.age().error


@pytest.mark.parametrize("fault", ["500", "html", "redirect", "empty", "oversize", "hang"])
def test_can_fail_in_ways_that_leave_the_last_good_keys_until_they_are_stale(
    edge: Running, fault: str
) -> None:
    clock, patience = Clock(), [60.0]

    def fetch() -> bytes:
        return bytes(edge.fetch(timeout_s=patience[0])())

    store = KeyStore(fetch, development=True, monotonic=clock)
    token = edge.token("ana@countersign.example")

    def who() -> object:
        return read(token, rules=edge.rules(User), key_of=store.key_of, now=_now())

    assert who()
    edge.lever("fault", certs=fault)
    patience[0] = 0.3
    clock.moment += FRESH_S + 1
    assert who()
    settled()
    assert store.age().error
    clock.moment += STALE_S - FRESH_S
    with pytest.raises(BadToken, match=Fault.KEYS_STALE):
        who()
    settled()


def settled() -> None:
    """Wait for the background refresh, if one runs."""
    for thread in threading.enumerate():
        if thread.name == "access-keys":
            thread.join(60)


def test_publishes_keys_that_production_refuses(edge: Running) -> None:
    body = edge.fetch()()
    assert parse(body, development=True)
    with pytest.raises(ValueError, match="development stand-in"):
        parse(body)


def _now() -> Any:
    from core import clock

    return clock.now()
