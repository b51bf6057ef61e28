"""A real browser before the real console and the real approver page, each on a port of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import connections
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from core.access.models import Identity
from kernel import canonical
from tests import doors
from tests.exchange import Exchange
from tests.sockets import console_served
from tests.treasury import REGISTRY

ROOT: Final = Path(__file__).resolve().parents[2]
TRUSTED_PYTHON: Final = ROOT / ".venv-trusted/bin/python"
CHROMIUM: Final = "/usr/bin/chromium"
PATIENCE_MS: Final = 120_000
"""Ends a hang, and decides nothing."""
# Playwright's own loop runs in this thread, and Django would not touch the database beside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


KNOWN: Final = ("Failed to load resource", "publicKey.pubKeyCredParams", "/live' failed: ")


@dataclass(frozen=True)
class Site:
    """Both origins, and what stands behind them."""

    exchange: Exchange
    console: str
    approver: str
    folder: Path


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium.

    While Playwright's loop runs, Django keeps this thread's connections apart from those of before and after.
    So the loop ends with this folder's files, which stand together in the order of all (tests/conftest.py),
    and its connections with it: nobody else would ever close them.
    """
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE_MS
        )
        expect.set_options(timeout=PATIENCE_MS)
        yield launched
        launched.close()
        connections.close_all()


@pytest.fixture
def site(real_exchange: Exchange, settings: Any, tmp_path: Path) -> Iterator[Site]:
    """The console over a database of its own, and the approver as the process that it is."""
    with console_served(settings), _approver(settings.CONSOLE_ORIGIN, tmp_path, real_exchange) as origin:
        settings.APPROVER_ORIGIN = origin
        yield Site(real_exchange, settings.CONSOLE_ORIGIN, origin, tmp_path)


@contextmanager
def _approver(console: str, folder: Path, exchange: Exchange) -> Iterator[str]:
    """The approver's process in its own environment, reached over TCP through a plain relay.

    It starts when somebody first comes to it; most pages of the console only know where it would be.
    """
    path = folder / "approver.sock"
    officers = {
        str(officer.identity.pk): {
            "name": officer.identity.display_name,
            "teams": ["treasury"],
            "public_key": officer.passkey.public_key_hex,
        }
        for officer in (exchange.staff.ana, exchange.staff.ben, exchange.staff.cy)
    }
    (folder / "registry.json").write_bytes(canonical.encode({**REGISTRY, "officers": officers}))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener, ExitStack() as started:
        origin = f"http://approver.localhost:{listener.getsockname()[1]}"
        command = [str(TRUSTED_PYTHON), "-m", "custody.approver", "--socket", str(path)]
        command += ["--origin", origin, "--rp-id", "approver.localhost"]
        command += ["--console-origin", console, "--deployment", "test", "--state", str(folder)]
        command += ["--registry", str(folder / "registry.json"), "--log-socket", str(folder / "log.sock")]
        command += ["--allow-uid", str(os.getuid())]

        def start() -> None:
            process = started.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE))
            started.callback(process.terminate)
            assert process.stdout is not None
            assert b"ready" in process.stdout.readline()

        relay = threading.Thread(target=_relay, args=(listener, path, start))
        relay.start()
        try:
            yield origin
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            relay.join()


def _relay(listener: socket.socket, path: Path, start: Callable[[], None]) -> None:
    """Bytes from each TCP connection to the unix socket and back, as the edge would carry them; the first
    one starts what listens there.
    """
    while True:
        try:
            outer, _ = listener.accept()
        except OSError:
            return
        if not path.exists():
            start()
        threading.Thread(target=_carry, args=(outer, path), daemon=True).start()


def _carry(outer: socket.socket, path: Path) -> None:
    with outer, socket.socket(socket.AF_UNIX) as inner:
        inner.connect(str(path))
        back = threading.Thread(target=_pump, args=(inner, outer), daemon=True)
        back.start()
        _pump(outer, inner)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


class Visit:
    """A person's browser window, and everything that Chromium complained about in it."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.context, self.site = context, site
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        # Chromium also logs every 4xx page as an error of the network; those pages are ours, and meant.
        # It also would like RS256 for passkeys, whose keys we do not take, and tells of each socket that a
        # session which is over, or a page that is being left, does not get.
        if message.type in ("error", "warning") and not any(known in message.text for known in KNOWN):
            self.complaints.append(message.text)

    def open(self, path: str) -> Page:
        """A page of the console."""
        self.page.goto(self.site.console + path, wait_until="load")
        return self.page


@pytest.fixture
def visit(site: Site, browser: Browser, settings: Any) -> Iterator[Any]:
    """Make a window for somebody: `visit(identity, scheme="dark")`. Whoever complains fails the test."""
    made: list[Visit] = []

    def window(identity: Identity | None, *, enters: bool = True, **options: Any) -> Visit:
        context = browser.new_context(
            color_scheme=options.pop("scheme", "light"),
            viewport=options.pop("viewport", {"width": 1360, "height": 900}),
            **options,
        )
        if identity is not None:
            context.set_extra_http_headers({doors.doors.ASSERTION: doors.token(identity)})
            if enters:
                person = doors.at_console(identity, fresh=True)
                person.enter()
                name = settings.SESSION_COOKIE_NAME
                context.add_cookies(
                    [{"name": name, "value": person.cookies[name].value, "url": site.console}]
                )
        context.set_default_timeout(PATIENCE_MS)
        made.append(Visit(context, site))
        return made[-1]

    yield window
    for each in made:
        # Polls that are under way would find the database gone.
        each.page.goto("about:blank")
        each.context.close()
    time.sleep(0.05)
    assert [complaint for each in made for complaint in each.complaints] == []


def recorded(page: Page) -> str:
    """What the console says to the answer, be it a refusal."""
    said = page.locator(".note[role=status], #refusal p").first
    expect(said).to_be_visible()
    return said.inner_text()


def bare(page: Page, selector: str) -> str:
    """The text there without the gaps between its groups."""
    return "".join(page.locator(selector).inner_text().split())


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there; nobody needs more than forty."""
    for _ in range(40):
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {selector}")
