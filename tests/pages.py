"""The console's socket, as a page of somebody's opens it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from core import audit, clock, hints
from core.access.models import Identity, RoleGrant
from core.access.roles import Role
from core.action import action
from core.actor import system
from core.staff.events import Event as StaffEvent
from tests import doors
from tests.doors import at_console
from tests.sockets import Server

SOON_S: Final = 60.0
"""Ends a hang, and decides nothing: a busy machine takes its time."""

Opens = Callable[..., ClientConnection]


@contextmanager
def opener(console: Server, settings: Any) -> Iterator[Opens]:
    """Opens the socket as a page of somebody's does, in the session that they have entered."""
    made = ExitStack()

    def opened(
        identity: Identity,
        *,
        token: str = "",
        origin: str | None = "",
        entered: bool = True,
        deaf: bool = False,
    ) -> Any:
        browser = at_console(identity)
        if entered:
            browser.get("/")
        cookie = browser.cookies.get(settings.SESSION_COOKIE_NAME)
        headers = {doors.doors.ASSERTION: token or doors.token(identity)}
        if cookie is not None:
            headers["Cookie"] = f"{settings.SESSION_COOKIE_NAME}={cookie.value}"
        return made.enter_context(
            connect(
                f"ws://console.localhost:{console.port}/live",
                sock=_line(console, deaf=deaf),
                max_queue=1 if deaf else 16,
                compression=None if deaf else "deflate",  # what says the same again would be next to nothing
                additional_headers=headers,
                origin=settings.CONSOLE_ORIGIN if origin == "" else origin,
                proxy=None,
                open_timeout=SOON_S,
            )
        )

    with made:
        yield opened


def _line(console: Server, *, deaf: bool) -> socket.socket:
    """A connection; to one who does not listen, with next to no room for what was not heard."""
    line = socket.socket()
    if deaf:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        console.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    line.connect(("127.0.0.1", console.port))
    return line


def watch(ws: ClientConnection, *keys: str) -> list[str]:
    """Ask for hints; what was granted."""
    ws.send(json.dumps({"watch": keys}))
    return json.loads(ws.recv(SOON_S))["watching"]


def code_of(ws: ClientConnection) -> int:
    """With which code the socket closes."""
    deadline = time.monotonic() + SOON_S
    try:
        while (left := deadline - time.monotonic()) > 0:
            ws.recv(left)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006
    raise TimeoutError("the socket is open still")


def status_of(opens: Opens, *args: Any, **how: Any) -> int:
    with pytest.raises(InvalidStatus) as refused:
        opens(*args, **how)
    return refused.value.response.status_code


def tell(name: str, target: str = "") -> None:
    hints._courier.take((name, target))


def end_roles(identity: Identity, *roles: Role) -> None:
    """End these roles of somebody, or all."""

    @action(StaffEvent.ROLE_ENDED)
    def ended(*, actor: Any, now: Any) -> None:
        grants = RoleGrant.objects.filter(identity=identity, revoked_at=None)
        grants = grants.filter(role__in=roles) if roles else grants
        assert grants.update(revoked_at=now) > 0
        audit.record(StaffEvent.ROLE_ENDED, identity, actor=actor, now=now)

    ended(actor=system("test"), now=clock.now())
