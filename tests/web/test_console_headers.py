"""Every answer, of every screen and of every door, …"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from backoffice.asgi import console, trader
from backoffice.bounded import BODY_BYTES_MAX
from backoffice.console.urls import urlpatterns
from core.access.requirement import permission_of
from tests.doors import at_console
from tests.exchange import Exchange

ROOT: Final = Path(__file__).resolve().parents[2]
CONSOLE: Final = "backoffice.console.urls"
OTHER_DOORS: Final = {
    "service.localhost": ("/health", "/nothing"),
    "api.localhost": ("/api/v5/public/time", "/api/v5/account/balance", "/nothing"),
    "hooks.localhost": ("/webhooks/kyc/sumsub/01900000-dead-7000-8000-00000000dead", "/nothing"),
}
EXACT: Final = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
CONSOLE_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
"""All of it: what a page of the console needs, and not a source more."""
PROGRAMS_POLICY: Final = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "sandbox": "",
}
INLINE: Final = re.compile(
    r"<style\b|<script\b(?![^>]*\bsrc=)|<[a-z][^>]*\s(?:style|on[a-z]+|hx-on[\w:.-]*)\s*=|javascript:",
    re.IGNORECASE,
)


@pytest.fixture(autouse=True)
def _secure(settings: Any) -> None:
    settings.SECURE = True  # as behind an https:// origin, where the edge speaks plain HTTP to us


def lacks(answer: HttpResponse | httpx.Headers, policy: dict[str, str] = CONSOLE_POLICY) -> dict[str, str]:
    """What is wrong with the headers, by name."""
    wrong = {name: answer.get(name, "") for name, value in EXACT.items() if answer.get(name) != value}
    if "no-store" not in answer.get("Cache-Control", ""):
        wrong["Cache-Control"] = answer.get("Cache-Control", "")
    said = answer.get("Content-Security-Policy", "")
    if dict(part.strip().partition(" ")[::2] for part in said.split(";")) != policy:
        wrong["Content-Security-Policy"] = said
    return wrong


def test_at_the_console_is_locked_down_for_officers_and_for_strangers(
    exchange: Exchange, subtests: pytest.Subtests
) -> None:
    stranger = at_console(None)
    for pattern in urlpatterns:
        with subtests.test(pattern.name):
            kwargs = {parameter: exchange.row(parameter) for parameter in pattern.pattern.converters}
            address = reverse(pattern.name, urlconf=CONSOLE, kwargs=kwargs)
            permission = permission_of(pattern.callback)
            assert permission is not None
            officer = at_console(exchange.holder(permission))
            for client, statuses in ((officer, {200, 405}), (stranger, {403})):
                answer = client.get(address)
                assert answer.status_code in statuses
                assert lacks(answer) == {}
                assert not INLINE.search(answer.content.decode())


def test_that_is_a_refusal_or_an_error_is_locked_down_too(exchange: Exchange) -> None:
    officer = at_console(exchange.staff.ana.identity)
    assert lacks(officer.get("/no-such-page")) == {}
    forged = at_console(exchange.staff.ana.identity, checks_csrf=True).post("/freezes/pull")
    assert forged.status_code == 403
    assert lacks(forged) == {}


@pytest.mark.parametrize(("host", "paths"), OTHER_DOORS.items())
def test_at_the_other_doors_is_locked_down(exchange: Exchange, host: str, paths: tuple[str, ...]) -> None:
    for path in paths:
        for method in ("GET", "POST"):
            answer = Client(headers={"Host": host}).generic(method, path)
            assert lacks(answer, PROGRAMS_POLICY) == {}, (method, path)


def test_at_no_door_is_locked_down(exchange: Exchange) -> None:
    answer = Client(headers={"Host": "elsewhere.localhost"}).get("/")
    assert answer.status_code == 421
    assert lacks(answer, PROGRAMS_POLICY) == {}


@pytest.mark.parametrize(
    ("application", "method", "path", "body", "status"),
    [
        (console, "GET", "/static/base.css", b"", 200),
        (console, "GET", "/static/nothing.css", b"", 404),
        (console, "POST", "/freezes/pull", b"x" * (BODY_BYTES_MAX + 1), 413),
        (trader, "POST", "/api/v5/trade/order", b"x" * (BODY_BYTES_MAX + 1), 413),
    ],
    ids=["static file", "no static file", "too long for the console", "too long for the trader API"],
)
def test_that_no_middleware_sees_is_locked_down(
    application: Any, method: str, path: str, body: bytes, status: int
) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://console.localhost") as client:
            return await client.request(method, path, content=body)

    answer = asyncio.run(ask())
    assert answer.status_code == status
    assert lacks(answer.headers, PROGRAMS_POLICY).keys() <= {"Cache-Control"}
    assert len(answer.headers.get_list("x-frame-options")) == 1


def test_promises_nothing_about_tls_where_there_is_none(exchange: Exchange, settings: Any) -> None:
    settings.SECURE = False
    assert "Strict-Transport-Security" not in at_console(exchange.staff.ana.identity).get("/")


def test_comes_from_a_template_with_nothing_inline() -> None:
    folders = (
        "templates",
        "core",
        "custody",
        "customers",
        "kyc",
        "backoffice",
        "trader_api",
        "engine_bridge",
    )
    pages = [page for folder in folders for page in (ROOT / folder).rglob("*.html")]
    assert len(pages) > 30, "the templates are somewhere else"
    found = {str(page.relative_to(ROOT)): INLINE.findall(page.read_text()) for page in pages}
    assert {page: marks for page, marks in found.items() if marks} == {}
    for mark in ("<style>", "<script>x", '<p style="x">', '<a onclick="x">', '<p hx-on::load="x">'):
        assert INLINE.search(mark)
