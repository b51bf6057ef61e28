"""The console's one socket: it says that something changed, and every byte of it is asked for over HTTP.

The handshake, and a look every few seconds, run the whole chain of middleware and the view `live` with the
handshake's own headers. So a socket stands exactly as long as the same request would be answered: token, kill
list, suspension, session with its limits, authenticator and role, and whatever is added to that chain later.
The look says that it is none of the person's (`HX-Request`), so an open socket keeps no idle session alive.

    page    {"watch": ["approvals", "withdrawals/0192…"]}
    socket  {"watching": [...]}    what was granted, again after each change of rights
            {"stale": [...]}       which of them to ask for again
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from io import BytesIO
from typing import Any, Final

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from django.http import HttpResponseBase
from redis.exceptions import RedisError

from backoffice.console import topics
from core import hints

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0
"""How long a right that ended without a word may still hold a socket open."""
LOOK_WITHIN_S: Final = 10.0
LAYER_WITHIN_S: Final = 2.0
SAY_WITHIN_S: Final = 5.0
PAUSE_S: Final = 0.25
"""Between two hints to one page: what happens in it is said at once."""
MESSAGE_CHARS_MAX: Final = 4096
KEYS_MAX: Final = 32
SOCKETS_MAX: Final = 24
"""Of one sitting, in one process."""


class Close(IntEnum):
    """Why a socket ends: what the page's script, and whoever reads a log, is told."""

    BAD_MESSAGE = 4400
    SESSION_OVER = 4401
    RIGHTS_ENDED = 4403
    TOO_SLOW = 4408
    FAILED = 1011
    TRY_LATER = 1013


_pool: Final = ThreadPoolExecutor(4, thread_name_prefix="live")
_open: Final[Counter[str]] = Counter()


class Live(AsyncWebsocketConsumer):
    """One page's socket."""

    def __init__(self) -> None:
        super().__init__()
        self.topics: frozenset[str] = frozenset()
        self.wanted: frozenset[str] = frozenset()
        self.watching: frozenset[str] = frozenset()
        self.stale: set[str] = set()
        self.is_doubted = self.has_news = False
        self.woken = asyncio.Event()
        self.tending: asyncio.Task[None] | None = None
        self.sitting = self.counted = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket; without Redis there is none, and the page polls."""
        try:
            await super().__call__(scope, receive, send)
        except (OSError, RedisError) as error:
            log.warning("a console's socket ends: %s", type(error).__name__)
            await self.end(Close.TRY_LATER)
        finally:
            if self.tending is not None:
                self.tending.cancel()
            if self.counted:
                _leave(self.counted)

    async def connect(self) -> None:
        """Open for whoever would be answered over HTTP, from a page of the console itself."""
        headers = dict(self.scope["headers"])
        if headers.get(b"origin") != settings.CONSOLE_ORIGIN.encode():
            await self.close()
            return
        # Listening before looking: what ends in between is told.
        async with asyncio.timeout(LAYER_WITHIN_S):
            await self.channel_layer.group_add(hints.GROUP, self.channel_name)
        if await self.look() is not None or _open[self.sitting] >= SOCKETS_MAX:
            await self.close()
            return
        self.counted = self.sitting
        _open[self.counted] += 1
        await self.accept()
        self.tending = asyncio.create_task(self.tend())

    async def disconnect(self, code: int) -> None:
        """Listen no longer."""
        async with asyncio.timeout(LAYER_WITHIN_S):
            await self.channel_layer.group_discard(hints.GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """The keys that the page wants to watch, in place of those before."""
        keys = _wanted(text_data)
        if keys is None:
            await self.end(Close.BAD_MESSAGE)
            return
        self.wanted = keys
        self._grant(is_asked=True)

    async def acts(self, message: Mapping[str, Any]) -> None:
        """What the courier brought. Whoever can write to Redis can say anything here, and gains a look."""
        acts = _acts(message)
        if acts is None:
            self.is_doubted, self.stale = True, set(self.watching)
        for name, target in acts or ():
            self.is_doubted |= topics.judges(name)
            self.stale |= topics.touched(name, target, self.watching)
        if self.is_doubted or self.stale:
            self.woken.set()

    async def tend(self) -> None:
        """Look every few seconds, and at once after an act that may end rights; then say what is stale."""
        try:
            looked = time.monotonic()
            while True:
                waits = max(0.0, looked + LOOK_EVERY_S - time.monotonic())
                try:
                    async with asyncio.timeout(waits):
                        await self.woken.wait()
                except TimeoutError:
                    self.is_doubted = True
                self.woken.clear()
                code = None
                if self.is_doubted:
                    self.is_doubted, looked = False, time.monotonic()
                    code = await self.look()
                if code is None:
                    code = await self.say()
                if code is not None:
                    await self.end(code)
                    return
        except Exception:
            # Without its looks a socket would outlive its rights.
            log.exception("a console's socket failed")
            await self.end(Close.FAILED)

    async def look(self) -> Close | None:
        """Ask the view; why the socket must end, or None where it may stand."""
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                answer = await _ask(self.scope)
        except TimeoutError:
            return Close.TRY_LATER
        if answer.status_code != 200:
            known = {401: Close.SESSION_OVER, 403: Close.RIGHTS_ENDED}
            return known.get(answer.status_code, Close.FAILED)
        found = json.loads(answer.content)
        self.sitting, self.topics = found["sitting"], frozenset(found["topics"])
        self._grant(is_asked=False)
        return None

    async def say(self) -> Close | None:
        """Tell the page what is new; why the socket must end, where nobody listens."""
        said: dict[str, list[str]] = {}
        if self.has_news:
            said["watching"] = sorted(self.watching)
        if self.stale:
            said["stale"] = sorted(self.stale)
        if not said:
            return None
        self.has_news, self.stale = False, set()
        try:
            async with asyncio.timeout(SAY_WITHIN_S):
                await self.send(text_data=json.dumps(said))
        except TimeoutError:
            return Close.TOO_SLOW
        except OSError:
            log.debug("a page went while it was told something")
        await asyncio.sleep(PAUSE_S)
        return None

    async def end(self, code: Close) -> None:
        """Close, where the other side has not."""
        try:
            await self.close(code=code)
        except (OSError, RuntimeError):
            log.debug("a socket was closed already")

    def _grant(self, *, is_asked: bool) -> None:
        watching = topics.granted(self.wanted, self.topics)
        if is_asked or watching != self.watching:
            self.watching, self.has_news = watching, True
            self.stale &= watching
            self.woken.set()


def _wanted(text: str | None) -> frozenset[str] | None:
    """The keys of a page's message; None where it is none."""
    if text is None or len(text) > MESSAGE_CHARS_MAX:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    keys = message.get("watch") if isinstance(message, dict) else None
    if not isinstance(keys, list) or len(keys) > KEYS_MAX or not all(isinstance(key, str) for key in keys):
        return None
    return frozenset(keys)


def _acts(message: Mapping[str, Any]) -> list[hints.Act] | None:
    """The acts of a courier's message; None where it does not name them: anything may have happened."""
    acts = message.get("acts")
    if not isinstance(acts, list):
        return None
    pairs = [tuple(act) for act in acts if isinstance(act, list) and list(map(type, act)) == [str, str]]
    return pairs if len(pairs) == len(acts) else None


def _leave(sitting: str) -> None:
    _open[sitting] -= 1
    if not _open[sitting]:
        del _open[sitting]


@functools.cache
def _handler() -> BaseHandler:
    handler = BaseHandler()
    handler.load_middleware()
    return handler


def _answer(scope: Mapping[str, Any]) -> HttpResponseBase:
    headers = [pair for pair in scope["headers"] if pair[0] != b"hx-request"]
    asked = {
        **scope,
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "query_string": b"",
        "headers": [*headers, (b"hx-request", b"true")],
    }
    return _handler().get_response(ASGIRequest(asked, BytesIO()))


# Threads of our own: the one that Channels shares among all sockets would make them wait for each other.
_ask: Final = database_sync_to_async(_answer, thread_sensitive=False, executor=_pool)
