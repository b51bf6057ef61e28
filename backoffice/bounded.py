"""How long a request may be, for every door.

Django keeps a whole body on the disk before anybody is asked who sent it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

BODY_BYTES_MAX: Final = 2 * 1024 * 1024
"""The longest that a form sends is a file of half a mebibyte, written out as text."""

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


class Bounded:
    """Answers 413 as soon as a body is too long, whatever length it claims, and reads no more of it.

    The application is told that the client went away: then it keeps nothing, and says nothing.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        length, has_begun = 0, False

        async def counted() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            return message if length <= BODY_BYTES_MAX else {"type": "http.disconnect"}

        async def sent(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        await self._application(scope, counted, sent)
        if length > BODY_BYTES_MAX and not has_begun:
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body", "body": b"Too long.\n"})
